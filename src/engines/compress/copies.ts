import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { isAbort } from '../../lib/errors.js'
import {
  fileUrl,
  frameBytes,
  hostileInput,
  MediaError,
  type MediaTools,
  runFfmpeg,
  type VideoStreamInfo,
} from '../../media/index.js'
import { pixelFormatOf, type Source } from './source.js'

type CopyOptions = MediaTools & { readonly signal: AbortSignal }

/** Beyond this, writing and reading raw pictures costs a disk more than decoding again costs a CPU. */
const MAX_RAW_BYTES = 1024 ** 3
/** Of the free disk, what a raw copy may take. */
const DISK_SHARE = 0.25

const LOSSLESS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-bf', '0'] as const

/** How pictures are kept on disk without loss. */
export interface Keeping {
  readonly extension: 'avi' | 'mp4'
  readonly args: readonly string[]
}

/**
 * Raw where it fits, since that is read for nothing, and packed otherwise. So are pictures of full
 * range and of oblong pixels: AVI has no words for either.
 */
export async function keepingOf(
  video: VideoStreamInfo,
  frames: number,
  folder: string,
): Promise<Keeping> {
  const bytes = frames * frameBytes('yuv420p', video.width, video.height)
  const { bavail, bsize } = await statfs(folder)
  const fits = bytes <= Math.min(MAX_RAW_BYTES, bavail * bsize * DISK_SHARE)
  const pixels = ['-pix_fmt', pixelFormatOf(video)]
  const plain = pixelFormatOf(video) === 'yuv420p' && video.sampleAspectRatio === '1:1'
  return fits && plain
    ? { extension: 'avi', args: [...pixels, '-c:v', 'rawvideo'] }
    : { extension: 'mp4', args: [...pixels, ...LOSSLESS] }
}

/**
 * The decoded pictures of a file, so that each probe and measurement need not decode it anew; undefined
 * where a copy would be too large or not the same: another pixel format, or frames that are not evenly spaced.
 */
export async function workingCopy(
  source: Source,
  folder: string,
  options: CopyOptions,
): Promise<Source | undefined> {
  const { video, frames } = source
  if (video.pixelFormat !== 'yuv420p' || !video.evenlySpaced) return undefined
  const { extension, args } = await keepingOf(video, frames, folder)
  if (extension !== 'avi') return undefined
  const path = join(folder, 'pictures.avi')
  try {
    await runFfmpeg(
      [
        ...['-noautorotate', ...hostileInput(source.path), '-map', '0:v:0', '-an', '-sn', '-dn'],
        ...['-fps_mode', 'passthrough', ...args, fileUrl(path)],
      ],
      // What a file says of its length may be a lie.
      { ...options, maxFileBytes: 2 * MAX_RAW_BYTES },
    )
  } catch (error) {
    if (isAbort(error) || !(error instanceof MediaError)) throw error
    return undefined
  }
  return { path, frames, video }
}
