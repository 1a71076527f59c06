import type { Clock } from '#src/lib/clock.js'

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

/** A clock that moves only when told. Sleepers wake in the order they are due. */
export class FakeClock implements Clock {
  #nowMs: number
  #ns = 0n
  readonly #sleepers: Sleeper[] = []

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  nowNs(): bigint {
    const wall = BigInt(this.#nowMs) * 1_000_000n
    this.#ns = wall > this.#ns ? wall : this.#ns + 1n
    return this.#ns
  }

  monotonic(): number {
    return this.#nowMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        const index = this.#sleepers.indexOf(sleeper)
        if (index >= 0) this.#sleepers.splice(index, 1)
        reject(signal?.reason)
      }
      const wake = () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }
      const sleeper = { due: this.#nowMs + ms, wake }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** How many wait now. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  /** Moves time, waking who is due on the way and letting what follows run. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms
    for (;;) {
      await settle()
      this.#sleepers.sort((a, b) => a.due - b.due)
      const next = this.#sleepers[0]
      if (next === undefined || next.due > end) break
      this.#sleepers.shift()
      this.#nowMs = Math.max(this.#nowMs, next.due)
      next.wake()
    }
    this.#nowMs = end
    await settle()
  }
}

/** Lets pending promise callbacks and ready I/O run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve))
}
