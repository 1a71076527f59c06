import { ffmpegCapabilities, type MediaTools, runFfmpeg } from '../../media/index.js'
import { EngineError } from '../errors.js'
import type { Codec } from '../types.js'
import { ENCODERS, type Encoder } from './encoders.js'

/** Encoders of one ffmpeg that truly work here: built in, and for hardware, tried on a few frames. */
export class EncoderShelf {
  readonly #tools: MediaTools
  #names: ReadonlySet<string> | undefined
  readonly #works = new Map<string, boolean>()

  constructor(tools: MediaTools) {
    this.#tools = tools
  }

  /**
   * The encoder for a codec: software first, since it gives the fewer bytes; `hardware` puts a
   * working GPU encoder first. @throws EngineError ENGINE_ENCODER_MISSING
   */
  async pick(codec: Codec, hardware: boolean, signal: AbortSignal): Promise<Encoder> {
    const all = ENCODERS.filter((encoder) => encoder.codec === codec)
    const order = [...all].sort(
      (a, b) => Number(b.hardware === hardware) - Number(a.hardware === hardware),
    )
    for (const encoder of order) if (await this.has(encoder, signal)) return encoder
    const tried = order.map((encoder) => encoder.name)
    throw new EngineError(
      { code: 'ENGINE_ENCODER_MISSING', codec, tried },
      `this ffmpeg cannot encode ${codec}: it has none of ${tried.join(', ')}`,
    )
  }

  async has(encoder: Encoder, signal: AbortSignal): Promise<boolean> {
    // Only answers are kept: a failure to ask passes, and so does an abort.
    this.#names ??= (await ffmpegCapabilities({ ...this.#tools, signal })).encoders
    if (!this.#names.has(encoder.name)) return false
    if (!encoder.hardware) return true
    const works = this.#works.get(encoder.name) ?? (await this.#try(encoder, signal))
    this.#works.set(encoder.name, works)
    return works
  }

  #try(encoder: Encoder, signal: AbortSignal): Promise<boolean> {
    const input = ['-f', 'lavfi', '-i', 'color=size=320x240:rate=25:duration=0.2']
    const settings = encoder.args({ crf: encoder.start, effort: 'normal' })
    return runFfmpeg([...input, '-c:v', encoder.name, ...settings, '-f', 'null', '-'], {
      ...this.#tools,
      // A GPU is a device file: nothing of the kind exists inside the sandbox.
      sandbox: 'off',
      signal,
      timeoutMs: 20_000,
    }).then(
      () => true,
      () => {
        signal.throwIfAborted()
        return false
      },
    )
  }
}
