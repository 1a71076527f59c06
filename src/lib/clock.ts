import { setMaxListeners } from 'node:events'

/** Time as a parameter. `now` is wall time, `monotonic` never steps back; both in milliseconds. */
export interface Clock {
  /** Unix time in milliseconds. */
  now(): number
  /** Unix time in nanoseconds, for wire nonces. Strictly rising within one process. */
  nowNs(): bigint
  /** Milliseconds since some fixed point, unaffected by clock steps. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

const MAX_TIMER_MS = 2 ** 31 - 1

/** The machine's clock. The only place that calls Date.now and setTimeout. */
export class SystemClock implements Clock {
  #lastNs = 0n

  now(): number {
    return Date.now()
  }

  nowNs(): bigint {
    const wall = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n)
    this.#lastNs = wall > this.#lastNs ? wall : this.#lastNs + 1n
    return this.#lastNs
  }

  monotonic(): number {
    return performance.now()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        Math.min(Math.max(0, ms), MAX_TIMER_MS),
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }
}

/**
 * A signal that aborts with a `TimeoutError` after `timeoutMs`, or earlier with `signal`.
 * Its timer does not keep the process alive. Dispose of it when the work is done: until then, or
 * until its time is over, it is tied to `signal`.
 *
 * Not AbortSignal.any: on Node 20 that leaves an entry in a long-lived signal for good, some 60
 * bytes a call.
 */
export class Deadline implements Disposable {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #source: AbortSignal | undefined
  readonly #onAbort = () => {
    this.#end(this.#source?.reason)
  }
  #expired = false

  constructor(timeoutMs: number, signal?: AbortSignal) {
    this.#source = signal
    const ms = Math.min(Math.max(0, Math.ceil(timeoutMs)), MAX_TIMER_MS)
    this.#timer = setTimeout(() => {
      this.#expired = true
      this.#end(new DOMException(`not done within ${timeoutMs} ms`, 'TimeoutError'))
    }, ms).unref()
    if (signal === undefined) return
    if (signal.aborted) {
      this.#onAbort()
      return
    }
    // A signal of the process sees a listener per work in flight; that is no leak.
    setMaxListeners(0, signal)
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Whether time ran out, rather than the given signal having aborted. */
  get expired(): boolean {
    return this.#expired
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#source?.removeEventListener('abort', this.#onAbort)
  }

  #end(reason: unknown): void {
    this[Symbol.dispose]()
    this.#controller.abort(reason)
  }
}

/** The signal of a Deadline that is left to run out. */
export function deadline(timeoutMs: number, signal?: AbortSignal): AbortSignal {
  return new Deadline(timeoutMs, signal).signal
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
