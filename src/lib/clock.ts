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
 * Its timer does not keep the process alive.
 */
export function deadline(timeoutMs: number, signal?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(Math.min(Math.max(0, Math.ceil(timeoutMs)), MAX_TIMER_MS))
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}
