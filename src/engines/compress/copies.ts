import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { fileUrl, frameBytes, type VideoStreamInfo } from '../../media/index.js'
import { pixelFormatOf, type Source } from './source.js'

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

/** A decode's second output: the pictures as they are, for everything that reads them after. */
export interface WorkingCopy {
  readonly path: string
  /** For FrameReader. */
  readonly output: { readonly beside: readonly string[]; readonly maxFileBytes: number }
}

/**
 * Where the decoded pictures of a file may be kept, so that each probe and measurement need not decode it anew;
 * undefined where a copy would be too large or not the same: another pixel format, or frames that are not evenly
 * spaced.
 */
export async function workingCopy(
  { video, frames }: Source,
  folder: string,
): Promise<WorkingCopy | undefined> {
  if (video.pixelFormat !== 'yuv420p' || !video.evenlySpaced) return undefined
  const { extension, args } = await keepingOf(video, frames, folder)
  if (extension !== 'avi') return undefined
  const path = join(folder, 'pictures.avi')
  const picture = ['-map', '0:v:0', '-an', '-sn', '-dn', '-fps_mode', 'passthrough']
  // What a file says of its length may be a lie.
  return {
    path,
    output: { beside: [...picture, ...args, fileUrl(path)], maxFileBytes: 2 * MAX_RAW_BYTES },
  }
}
