import { FrameReader, type MediaTools, probeVideo } from '../../media/index.js'
import type { VideoStreamInfo } from '../../media/types.js'
import { MetricsError } from './errors.js'
import type { Picture } from './kept.js'

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

/** Whether chroma has half of luma's samples on both axes. */
export const isHalved = (video: VideoStreamInfo): boolean => /^yuvj?420p/.test(video.pixelFormat)

/** Facts of the reference, checked. Throws METRICS_PICTURE_TOO_SMALL and MediaError. */
export async function referenceFormat(
  file: string,
  tools: MediaTools & { readonly signal?: AbortSignal | undefined },
): Promise<LumaFormat & { readonly video: VideoStreamInfo }> {
  const { video } = await probeVideo(file, tools)
  const { width, height } = video
  if (width < MIN_SIDE || height < MIN_SIDE) {
    throw new MetricsError(
      { code: 'METRICS_PICTURE_TOO_SMALL', width, height },
      `VMAF needs at least ${MIN_SIDE} pixels a side; the reference has ${width}x${height}`,
    )
  }
  return { width, height, depth: depthOf(video), video }
}

/**
 * Luma of a clip as stored: no range or colour conversion, no rotation; frames of another size are
 * scaled (bicubic) to `format`; 8-bit sources are widened by two bits where the pair is 10-bit.
 */
export class LumaReader implements AsyncDisposable {
  readonly #reader: FrameReader
  readonly #depth: Depth
  readonly #widen: boolean
  readonly #chroma: boolean
  /** Where frames land that are not stored as the graphs take them. */
  readonly #landing: Uint8Array | undefined
  #last: Uint8Array = new Uint8Array()
  /** Frames delivered or skipped so far. */
  frames = 0

  private constructor(reader: FrameReader, depth: Depth, widen: boolean, chroma: boolean) {
    this.#reader = reader
    this.#depth = depth
    this.#widen = widen
    this.#chroma = chroma
    this.#landing = widen || chroma ? new Uint8Array(reader.frameBytes) : undefined
  }

  /** With `chroma` the clip must be 4:2:0; `picture` then holds its chroma too. */
  static async open(
    file: string,
    own: Depth,
    format: LumaFormat,
    options: MediaTools & {
      readonly signal?: AbortSignal | undefined
      readonly chroma?: boolean
    },
  ): Promise<LumaReader> {
    const { chroma = false, ...media } = options
    const plain = own === 8 ? 'gray' : 'gray10le'
    const whole = own === 8 ? 'yuv420p' : 'yuv420p10le'
    const reader = await FrameReader.open(file, {
      ...media,
      pixelFormat: chroma ? whole : plain,
      width: format.width,
      height: format.height,
      filter: chroma ? undefined : 'extractplanes=y',
      // A lone plane counts as full range, its tag may not: ffmpeg would stretch the contrast while scaling.
      keepValues: true,
      autorotate: false,
    })
    return new LumaReader(reader, own, own === 8 && format.depth === 10, chroma)
  }

  /** Fills `target` with the next frame, `width · height` samples of the format's depth; false at the end. */
  async readInto(target: Uint8Array): Promise<boolean> {
    const landing = this.#landing ?? target
    const got = await this.#reader.readInto(landing)
    if (!got) return false
    this.#last = landing
    if (this.#widen) {
      const wide = new Uint16Array(target.buffer, target.byteOffset, target.length / 2)
      for (let i = 0; i < wide.length; i += 1) wide[i] = (landing[i] ?? 0) << 2
    } else if (landing !== target) {
      target.set(landing.subarray(0, target.length))
    }
    this.frames += 1
    return true
  }

  /** The frame read last, as the file has it; valid until the next one, or until its target is used again. */
  picture(): Picture {
    const { width, height } = this.#reader
    const data = this.#last
    const samples =
      this.#depth === 8 ? data : new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
    const luma = width * height
    const chroma = Math.ceil(width / 2) * Math.ceil(height / 2)
    return {
      width,
      height,
      depth: this.#depth,
      luma: samples.subarray(0, luma),
      chroma: this.#chroma
        ? [samples.subarray(luma, luma + chroma), samples.subarray(luma + chroma)]
        : [],
    }
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
