import type { Clock } from '../lib/clock.js'

export interface SchedulerOptions {
  readonly clock: Clock
  /** Handlers running at once. */
  readonly concurrency: number
  /** Requests waiting for a handler. */
  readonly queueLimit: number
  /** A request that has waited this long is served from every fourth slot on, oldest first. */
  readonly ageAfterMs: number
}

/** Why a request got no slot. */
export type SlotRefusal = 'full' | 'displaced' | 'gone'

export type Slot =
  | { readonly granted: true; readonly release: () => void }
  | { readonly granted: false; readonly why: SlotRefusal }

interface Waiter {
  readonly priority: number
  readonly order: number
  readonly sinceMs: number
  readonly settle: (slot: Slot) => void
  readonly signal: AbortSignal | undefined
  readonly onAbort: () => void
}

const AGED_EVERY = 4
/** Weight of the newest handler time in the running mean. */
const SMOOTHING = 0.1

/**
 * Orders handlers by priority under a limit of concurrency.
 *
 * The highest priority waiting starts next; among equals the first come. So that none starves, every
 * fourth start goes to the request that has waited longest, once that is `ageAfterMs`. When the
 * queue is full, a newcomer of higher priority takes the place of the lowest, which is told to come
 * back: that is how a full queue of idlers does not lock out a validator.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  /** Highest priority first, then oldest first. */
  readonly #waiting: Waiter[] = []
  #active = 0
  #order = 0
  #starts = 0
  #meanMs = 0
  #closed = false

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  get active(): number {
    return this.#active
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Milliseconds a newcomer would wait now, from the mean time of handlers. At least 1000. */
  retryAfterMs(): number {
    const turns = (this.#waiting.length + 1) / this.#options.concurrency
    return Math.max(1000, Math.ceil(turns * this.#meanMs))
  }

  /** Waits for a slot. Resolves at once when one is free. Never rejects. */
  acquire(priority: number, signal?: AbortSignal): Slot | Promise<Slot> {
    if (this.#closed || signal?.aborted) return { granted: false, why: 'gone' }
    if (this.#active < this.#options.concurrency) return this.#grant()
    if (this.#waiting.length >= this.#options.queueLimit && !this.#displaceBelow(priority)) {
      return { granted: false, why: 'full' }
    }
    return new Promise((settle) => {
      const order = this.#order++
      const waiter: Waiter = {
        priority,
        order,
        sinceMs: this.#options.clock.monotonic(),
        settle,
        signal,
        onAbort: () => this.#refuse(waiter, 'gone'),
      }
      signal?.addEventListener('abort', waiter.onAbort, { once: true })
      this.#insert(waiter)
    })
  }

  /** Refuses all that wait and all that come. What runs goes on. */
  close(): void {
    this.#closed = true
    for (const waiter of [...this.#waiting]) this.#refuse(waiter, 'gone')
  }

  #insert(waiter: Waiter): void {
    let low = 0
    let high = this.#waiting.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = this.#waiting[middle]
      if (other !== undefined && other.priority >= waiter.priority) low = middle + 1
      else high = middle
    }
    this.#waiting.splice(low, 0, waiter)
  }

  #displaceBelow(priority: number): boolean {
    const last = this.#waiting.at(-1)
    if (last === undefined || last.priority >= priority) return false
    this.#refuse(last, 'displaced')
    return true
  }

  #refuse(waiter: Waiter, why: SlotRefusal): void {
    const index = this.#waiting.indexOf(waiter)
    if (index < 0) return
    this.#waiting.splice(index, 1)
    waiter.signal?.removeEventListener('abort', waiter.onAbort)
    waiter.settle({ granted: false, why })
  }

  #grant(): Slot {
    this.#active += 1
    this.#starts += 1
    const startedMs = this.#options.clock.monotonic()
    let released = false
    const release = () => {
      if (released) return
      released = true
      this.#active -= 1
      const tookMs = this.#options.clock.monotonic() - startedMs
      this.#meanMs += (tookMs - this.#meanMs) * SMOOTHING
      this.#startNext()
    }
    return { granted: true, release }
  }

  #startNext(): void {
    const next = this.#aged() ?? this.#waiting[0]
    if (next === undefined) return
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    next.signal?.removeEventListener('abort', next.onAbort)
    next.settle(this.#grant())
  }

  #aged(): Waiter | undefined {
    if ((this.#starts + 1) % AGED_EVERY !== 0) return undefined
    let oldest: Waiter | undefined
    for (const waiter of this.#waiting) {
      if (oldest === undefined || waiter.order < oldest.order) oldest = waiter
    }
    if (oldest === undefined) return undefined
    const waitedMs = this.#options.clock.monotonic() - oldest.sinceMs
    return waitedMs >= this.#options.ageAfterMs ? oldest : undefined
  }
}
