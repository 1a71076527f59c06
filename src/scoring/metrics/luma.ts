import { FrameReader, type MediaTools, probeVideo } from '../../media/index.js'
import type { VideoStreamInfo } from '../../media/types.js'
import { MetricsError } from './errors.js'

/** Sample depth that the graphs take: deeper sources are reduced to 10 bits. */
export type Depth = 8 | 10

export const depthOf = (video: VideoStreamInfo): Depth => (video.bitDepth > 8 ? 10 : 8)

/** Least side of a picture; below, ADM's borders outweigh the picture. */
const MIN_SIDE = 32

export interface LumaFormat {
  readonly width: number
  readonly height: number
  readonly depth: Depth
}

/** Facts of the reference, checked. Throws METRICS_PICTURE_TOO_SMALL and MediaError. */
export async function referenceFormat(
  file: string,
  tools: MediaTools & { readonly signal?: AbortSignal | undefined },
): Promise<LumaFormat> {
  const { video } = await probeVideo(file, tools)
  const { width, height } = video
  if (width < MIN_SIDE || height < MIN_SIDE) {
    throw new MetricsError(
      { code: 'METRICS_PICTURE_TOO_SMALL', width, height },
      `VMAF needs at least ${MIN_SIDE} pixels a side; the reference has ${width}x${height}`,
    )
  }
  return { width, height, depth: depthOf(video) }
}

/**
 * Luma of a clip as stored: no range or colour conversion, no rotation; frames of another size are
 * scaled (bicubic) to `format`; 8-bit sources are widened by two bits where the pair is 10-bit.
 */
export class LumaReader implements AsyncDisposable {
  readonly #reader: FrameReader
  readonly #widen: Uint8Array | undefined
  /** Frames delivered or skipped so far. */
  frames = 0

  private constructor(reader: FrameReader, widen: boolean) {
    this.#reader = reader
    this.#widen = widen ? new Uint8Array(reader.frameBytes) : undefined
  }

  static async open(
    file: string,
    own: Depth,
    format: LumaFormat,
    options: MediaTools & { readonly signal?: AbortSignal | undefined },
  ): Promise<LumaReader> {
    const reader = await FrameReader.open(file, {
      ...options,
      pixelFormat: own === 8 ? 'gray' : 'gray10le',
      width: format.width,
      height: format.height,
      filter: 'extractplanes=y',
      // A lone plane counts as full range, its tag may not: ffmpeg would stretch the contrast while scaling.
      keepValues: true,
      autorotate: false,
    })
    return new LumaReader(reader, own === 8 && format.depth === 10)
  }

  /** Fills `target` with the next frame, `width · height` samples of the format's depth; false at the end. */
  async readInto(target: Uint8Array): Promise<boolean> {
    const got = await this.#reader.readInto(this.#widen ?? target)
    if (!got) return false
    if (this.#widen !== undefined) {
      const wide = new Uint16Array(target.buffer, target.byteOffset, this.#widen.length)
      for (const [i, sample] of this.#widen.entries()) wide[i] = sample << 2
    }
    this.frames += 1
    return true
  }

  async skip(): Promise<boolean> {
    const got = await this.#reader.skip()
    if (got) this.frames += 1
    return got
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#reader.close()
  }
}
