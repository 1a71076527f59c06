import { must } from '../lib/errors.js'
import { MediaError } from './errors.js'
import { type FfmpegOptions, startFfmpeg } from './ffmpeg.js'
import { fileUrl, hostileInput } from './hostile.js'
import { frameBytes, type PixelFormat } from './pixel-format.js'
import type { RunningProcess } from './process.js'

export interface WriteFramesOptions extends FfmpegOptions {
  readonly width: number
  readonly height: number
  readonly pixelFormat: PixelFormat
  readonly fps: { readonly num: number; readonly den: number }
  /** Encoder and its settings, e.g. `['-c:v', 'libx264', '-crf', '18', '-pix_fmt', 'yuv420p']`. */
  readonly encoder: readonly string[]
  /** Copy sound and subtitles of this file (of unknown origin) into the result. */
  readonly soundFrom?: string | undefined
}

/** An encoder fed frame by frame. `write` resolves when the encoder has taken the frame. */
export class FrameWriter implements AsyncDisposable {
  readonly #process: RunningProcess
  readonly #frameBytes: number
  #ended = false

  private constructor(running: RunningProcess, bytes: number) {
    this.#process = running
    this.#frameBytes = bytes
    // A broken pipe is reported by `done`, with ffmpeg's own words.
    running.stdin?.on('error', () => {})
    running.stdout.resume()
  }

  static async open(output: string, options: WriteFramesOptions): Promise<FrameWriter> {
    const { width, height, pixelFormat, fps } = options
    const sound = options.soundFrom === undefined ? [] : hostileInput(options.soundFrom)
    const copy = options.soundFrom === undefined ? [] : ['-map', '1:a?', '-c:a', 'copy']
    const running = await startFfmpeg(
      [
        '-f',
        'rawvideo',
        '-pixel_format',
        pixelFormat,
        '-video_size',
        `${width}x${height}`,
        '-framerate',
        `${fps.num}/${fps.den}`,
        '-i',
        'pipe:0',
        ...sound,
        '-map',
        '0:v:0',
        ...copy,
        ...options.encoder,
        fileUrl(output),
      ],
      { ...options, stdin: true },
    )
    return new FrameWriter(running, frameBytes(pixelFormat, width, height))
  }

  async write(frame: Uint8Array): Promise<void> {
    if (frame.length !== this.#frameBytes) {
      throw new MediaError(
        {
          code: 'MEDIA_FRAME_SIZE_WRONG',
          expectedBytes: this.#frameBytes,
          actualBytes: frame.length,
        },
        `a frame of ${this.#frameBytes} bytes was expected, got ${frame.length}`,
      )
    }
    const stdin = must(this.#process.stdin, 'stdin of an encoder')
    const error = await new Promise<unknown>((resolve) => stdin.write(frame, resolve))
    // A write error has its cause in how the encoder ended.
    if (error) await this.#failed()
  }

  async #failed(): Promise<never> {
    await this.#process.done
    throw new MediaError(
      { code: 'MEDIA_PROCESS_FAILED', tool: 'ffmpeg', exitCode: 0, signal: null, stderr: '' },
      'the encoder ended before all frames were written',
    )
  }

  /** Ends the stream and waits until the file is complete. */
  async end(): Promise<void> {
    this.#ended = true
    this.#process.stdin?.end()
    await this.#process.done
  }

  async close(): Promise<void> {
    if (this.#ended) return
    this.#process.kill()
    await this.#process.done.catch(() => {})
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Opens an encoder on a pipe. Hold it with `await using`, call `end` when all frames are written. */
export function writeFrames(output: string, options: WriteFramesOptions): Promise<FrameWriter> {
  return FrameWriter.open(output, options)
}
