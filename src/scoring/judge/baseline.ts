import { join } from 'node:path'
import {
  fileUrl,
  hostileInput,
  type MediaCallOptions,
  runFfmpeg,
  type VideoStreamInfo,
} from '../../media/index.js'

export interface Baseline {
  /** What the miner was given. */
  readonly input: string
  /** Its plain bicubic upscale, lossless, at the reference's size. */
  readonly baseline: string
}

/** Bits that a lossless intermediate keeps; ffv1 in Matroska decodes to what was put in. */
const LOSSLESS = ['-c:v', 'ffv1', '-level', '3', '-f', 'matroska']

/**
 * Makes what anybody could make without an upscaler: the input scaled up by bicubic. Where the
 * input is not at hand it is made from the reference, by bicubic too, as near-lossless H.264.
 */
export async function makeBaseline(
  files: {
    readonly reference: string
    readonly input: string | undefined
    readonly scale: 2 | 4
    readonly folder: string
  },
  size: Pick<VideoStreamInfo, 'width' | 'height'>,
  options: MediaCallOptions,
): Promise<Baseline> {
  const input = files.input ?? join(files.folder, 'input.mp4')
  if (files.input === undefined) {
    const width = Math.max(2, Math.round(size.width / files.scale / 2) * 2)
    const height = Math.max(2, Math.round(size.height / files.scale / 2) * 2)
    await runFfmpeg(
      [
        ...hostileInput(files.reference),
        ...picture(`scale=${width}:${height}:flags=bicubic`),
        ...['-c:v', 'libx264', '-preset', 'medium', '-crf', '17', '-movflags', '+faststart'],
        fileUrl(input),
      ],
      options,
    )
  }
  const baseline = join(files.folder, 'bicubic.mkv')
  await runFfmpeg(
    [
      ...hostileInput(input),
      ...picture(`scale=${size.width}:${size.height}:flags=bicubic`),
      ...LOSSLESS,
      fileUrl(baseline),
    ],
    options,
  )
  return { input, baseline }
}

function picture(scale: string): string[] {
  return [
    ...['-map', '0:v:0', '-an', '-sn', '-dn', '-fps_mode', 'passthrough'],
    ...['-vf', scale, '-pix_fmt', 'yuv420p'],
  ]
}
