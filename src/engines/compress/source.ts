import { rm, stat } from 'node:fs/promises'
import {
  fileUrl,
  hostileInput,
  type MediaInfo,
  type MediaTools,
  probeVideo,
  runFfmpeg,
  type VideoStreamInfo,
} from '../../media/index.js'
import { colorArgs, colorTagsOf } from '../color.js'
import { EngineError } from '../errors.js'
import type { Encoder, EncodeSettings } from './encoders.js'

export type VideoInfo = MediaInfo & { readonly video: VideoStreamInfo }

/** A file to encode: the input itself, or a lossless piece or sample of it. */
export interface Source {
  readonly path: string
  readonly frames: number
  readonly video: VideoStreamInfo
  /** Begin at this frame of the file; 0 when absent. */
  readonly startFrame?: number
}

/** Full-range sources stay full-range: VMAF compares the stored luma. */
export function pixelFormatOf(video: VideoStreamInfo): 'yuv420p' | 'yuvj420p' {
  return video.colorRange === 'pc' || video.pixelFormat.startsWith('yuvj') ? 'yuvj420p' : 'yuv420p'
}

/** Refuses what no encoder of ours takes. */
export function checkSource(video: VideoStreamInfo): void {
  const refuse = (what: string, why: string) =>
    new EngineError(
      { code: 'ENGINE_INPUT_UNSUPPORTED', what },
      `cannot compress this video: ${why}`,
    )
  if (video.width % 2 !== 0 || video.height % 2 !== 0) {
    throw refuse('odd size', `${video.width}x${video.height} is odd, 4:2:0 needs even sides`)
  }
  if (video.width < 64 || video.height < 64) {
    throw refuse('size', `${video.width}x${video.height} is smaller than 64x64`)
  }
  if (video.frames < 1) throw refuse('no frame', 'it has no frame')
  if (video.fps.num <= 0) throw refuse('frame rate', 'its frame rate is unknown')
}

export interface EncodeOptions extends MediaTools {
  readonly signal: AbortSignal
  /** Fraction done, 0–1. */
  readonly onProgress?: ((fraction: number) => void) | undefined
}

/**
 * Encodes the picture of a source, without sound, every frame once; returns the bytes.
 * @throws EngineError ENGINE_OUTPUT_INVALID when the frame count differs
 */
export async function encode(
  source: Source,
  output: string,
  encoder: Encoder,
  settings: EncodeSettings,
  { signal, onProgress, ...tools }: EncodeOptions,
): Promise<number> {
  const { video, startFrame = 0 } = source
  // Half a frame early: seeking then lands on the frame itself whatever its time was rounded to.
  const startSeconds = ((startFrame - 0.5) * video.fps.den) / video.fps.num
  let frames = 0
  await runFfmpeg(
    [
      '-noautorotate',
      ...hostileInput(source.path, startFrame === 0 ? [] : ['-ss', startSeconds.toFixed(6)]),
      ...['-map', '0:v:0', '-an', '-sn', '-dn', '-map_metadata', '-1', '-map_chapters', '-1'],
      ...['-fps_mode', 'passthrough', '-pix_fmt', pixelFormatOf(video)],
      ...(source.startFrame === undefined ? [] : ['-frames:v', `${source.frames}`]),
      ...['-c:v', encoder.name, ...encoder.args(settings)],
      ...colorArgs(colorTagsOf(video)),
      ...['-f', 'mp4', fileUrl(output)],
    ],
    {
      ...tools,
      signal,
      onProgress: ({ frame }) => {
        frames = frame
        onProgress?.(Math.min(1, frame / Math.max(1, source.frames)))
      },
    },
  )
  if (frames !== source.frames) {
    await rm(output, { force: true })
    throw new EngineError(
      {
        code: 'ENGINE_OUTPUT_INVALID',
        what: 'frames',
        expected: `${source.frames}`,
        actual: `${frames}`,
      },
      `${encoder.name} made ${frames} frames of ${source.frames}`,
    )
  }
  return (await stat(output)).size
}

/** Frames of an encoded file, counted by packets. */
export async function countFrames(
  path: string,
  options: MediaTools & { readonly signal: AbortSignal },
): Promise<number> {
  return (await probeVideo(path, options)).video.frames
}
