import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { EngineError } from './errors.js'
import type { Engine, EngineContext } from './types.js'

/** Engines in order of preference; the first that becomes ready does the work. */
export class FirstReady<P, R> implements Engine<P, R> {
  readonly #engines: readonly Engine<P, R>[]
  readonly #log: Logger
  #chosen: Engine<P, R> | undefined

  constructor(engines: readonly Engine<P, R>[], log: Logger) {
    this.#engines = engines
    this.#log = log
  }

  /** The engine in use; before `ready`, the names of all. */
  get name(): string {
    return this.#chosen?.name ?? this.#engines.map((engine) => engine.name).join(' or ')
  }

  async ready(signal: AbortSignal): Promise<void> {
    const reasons: string[] = []
    for (const engine of this.#engines) {
      try {
        await engine.ready(signal)
      } catch (error) {
        signal.throwIfAborted()
        const reason = describeError(error)
        reasons.push(`${engine.name}: ${reason}`)
        this.#log.info({ event: 'engine.passed-over', engine: engine.name, reason }, 'not usable')
        continue
      }
      this.#chosen = engine
      this.#log.info({ event: 'engine.chosen', engine: engine.name }, 'chose an engine')
      return
    }
    throw new EngineError(
      { code: 'ENGINE_UNAVAILABLE', engine: this.name },
      `no engine is usable: ${reasons.join('; ')}`,
    )
  }

  async run(
    input: { readonly path: string; readonly params: P },
    context: EngineContext,
  ): Promise<R> {
    if (this.#chosen === undefined) await this.ready(context.signal)
    const engine = this.#chosen
    if (engine === undefined) throw new RangeError('ready chose no engine')
    return engine.run(input, context)
  }

  async close(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close()))
  }
}
