import { must } from '../lib/errors.js'
import { MediaError } from './errors.js'
import { type MediaCallOptions, startFfmpeg, unreadable } from './ffmpeg.js'
import { hostileInput } from './hostile.js'
import { frameBytes, type PixelFormat } from './pixel-format.js'
import { probeVideo } from './probe.js'
import type { RunningProcess } from './process.js'

export interface RawFrame {
  readonly index: number
  readonly width: number
  readonly height: number
  readonly pixelFormat: PixelFormat
  /** Planes one after the other, rows without padding. */
  readonly data: Uint8Array
}

export interface ReadFramesOptions extends MediaCallOptions {
  readonly pixelFormat: PixelFormat
  /** Size delivered; frames are scaled (bicubic) to it. Default: the stream's own, found by probing. */
  readonly width?: number | undefined
  readonly height?: number | undefined
  /** Filters before scaling; a constant of ours, never text from outside. */
  readonly filter?: string | undefined
  /** Scale numbers as they are: no conversion between limited and full range. Default false. */
  readonly keepValues?: boolean | undefined
  /** Turn the picture as its metadata says. Default true. */
  readonly autorotate?: boolean | undefined
  /** Start at this time, in seconds. */
  readonly startSeconds?: number | undefined
  /** Stop after this many frames. */
  readonly maxFrames?: number | undefined
  /** Arguments of a second output from the same decode, ending with its `file:` URL; a constant of ours. */
  readonly beside?: readonly string[] | undefined
  /** Largest file that the second output may become, in bytes. */
  readonly maxFileBytes?: number | undefined
  /** Decoder threads. Default: ffmpeg's choice. */
  readonly threads?: number | undefined
}

/** Without the last two flags swscale's RGB is a level too dark: it truncates, and shortens chroma. */
function scalerFlags(pixelFormat: PixelFormat): string {
  return /rgb|gbr/.test(pixelFormat) ? 'bicubic+accurate_rnd+full_chroma_int' : 'bicubic'
}

/**
 * Raw frames of a file of unknown origin, one after the other into memory of the caller's. The decoder
 * waits while nobody reads, so memory does not grow with the clip.
 */
export class FrameReader implements AsyncDisposable {
  readonly width: number
  readonly height: number
  readonly pixelFormat: PixelFormat
  readonly frameBytes: number
  readonly #path: string
  readonly #process: RunningProcess
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  #ended = false

  private constructor(
    path: string,
    running: RunningProcess,
    format: { width: number; height: number; pixelFormat: PixelFormat },
  ) {
    this.#path = path
    this.#process = running
    // Node drains the unread pipes of a child that has ended. Whoever listens for 'readable' is a
    // reader to it, so the frames of a short clip wait until they are asked for.
    running.stdout.on('readable', () => {})
    this.#chunks = running.stdout[Symbol.asyncIterator]()
    this.width = format.width
    this.height = format.height
    this.pixelFormat = format.pixelFormat
    this.frameBytes = frameBytes(format.pixelFormat, format.width, format.height)
  }

  static async open(file: string, options: ReadFramesOptions): Promise<FrameReader> {
    const { pixelFormat } = options
    const size =
      options.width === undefined || options.height === undefined
        ? (await probeVideo(file, options)).video
        : undefined
    const width = options.width ?? must(size, 'size').width
    const height = options.height ?? must(size, 'size').height
    if (width < 1 || height < 1) {
      throw new MediaError(
        { code: 'MEDIA_UNREADABLE', path: file, detail: `size ${width}x${height}` },
        'the video has no picture size',
      )
    }
    // The scale filter passes frames of the right size through and keeps the framing of the pipe
    // when a hostile stream changes its size midway.
    const filters = [
      options.filter,
      `scale=${width}:${height}:flags=${scalerFlags(pixelFormat)}${options.keepValues ? ':in_range=pc:out_range=pc' : ''}`,
      `format=${pixelFormat}`,
    ]
    const running = await startFfmpeg(
      [
        ...(options.threads === undefined ? [] : ['-threads', String(options.threads)]),
        ...(options.autorotate === false ? ['-noautorotate'] : []),
        ...hostileInput(file, options.startSeconds ? ['-ss', String(options.startSeconds)] : []),
        '-map',
        '0:v:0',
        '-an',
        '-sn',
        '-dn',
        '-vf',
        filters.filter((filter) => filter !== undefined).join(','),
        '-fps_mode',
        'passthrough',
        ...(options.maxFrames === undefined ? [] : ['-frames:v', String(options.maxFrames)]),
        '-f',
        'rawvideo',
        'pipe:1',
        ...(options.beside ?? []),
      ],
      { ...options, maxFileBytes: options.maxFileBytes ?? 0 },
    )
    return new FrameReader(file, running, { width, height, pixelFormat })
  }

  /** Fills `target` (frameBytes long) with the next frame; false at the end. A partial frame is an error. */
  async readInto(target: Uint8Array): Promise<boolean> {
    let filled = 0
    while (filled < this.frameBytes) {
      if (this.#rest.length === 0) {
        if (this.#ended) return this.#finish(filled)
        const { done, value } = await this.#chunks.next()
        if (done) this.#ended = true
        else this.#rest = value
        continue
      }
      const take = Math.min(this.#rest.length, this.frameBytes - filled)
      target.set(this.#rest.subarray(0, take), filled)
      this.#rest = this.#rest.subarray(take)
      filled += take
    }
    return true
  }

  /** Reads and drops one frame; false at the end. */
  async skip(): Promise<boolean> {
    let left = this.frameBytes
    while (left > 0) {
      if (this.#rest.length === 0) {
        if (this.#ended) return this.#finish(this.frameBytes - left)
        const { done, value } = await this.#chunks.next()
        if (done) this.#ended = true
        else this.#rest = value
        continue
      }
      const take = Math.min(this.#rest.length, left)
      this.#rest = this.#rest.subarray(take)
      left -= take
    }
    return true
  }

  async #finish(partialBytes: number): Promise<boolean> {
    try {
      await this.#process.done
    } catch (error) {
      throw unreadable(error, this.#path)
    }
    if (partialBytes > 0) {
      throw new MediaError(
        { code: 'MEDIA_UNREADABLE', path: this.#path, detail: `${partialBytes} bytes of a frame` },
        'the decoder stopped in the middle of a frame',
      )
    }
    return false
  }

  async close(): Promise<void> {
    this.#process.kill()
    this.#process.stdout.destroy()
    await this.#process.done.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Raw frames of a file as an async iterable, each in memory of its own. Leaving the loop ends the decoder.
 *
 *     for await (const frame of readFrames(path, { pixelFormat: 'rgb24' })) use(frame.data)
 */
export async function* readFrames(
  file: string,
  options: ReadFramesOptions,
): AsyncGenerator<RawFrame, void, undefined> {
  await using reader = await FrameReader.open(file, options)
  const { width, height, pixelFormat } = reader
  for (let index = 0; ; index += 1) {
    const data = new Uint8Array(reader.frameBytes)
    if (!(await reader.readInto(data))) return
    yield { index, width, height, pixelFormat, data }
  }
}
