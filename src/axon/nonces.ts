/**
 * What has been accepted before, so that nothing is accepted twice. One store may serve several axon
 * processes of one hotkey; the Redis one does, and outlives them.
 */
export interface NonceStore {
  /**
   * What is known here of the last nonce under `key`, without asking anybody: a cheap check before
   * the signature. `undefined` says nothing.
   */
  lastKnown(key: string): bigint | undefined
  /**
   * Accepts `nonce` under `key` if it is above the last one accepted there; of any two calls with
   * one nonce at most one is told true.
   */
  advance(key: string, nonce: bigint, nowMs: number): boolean | Promise<boolean>
  /** Accepts `key` the first time. */
  once(key: string, nonce: bigint, nowMs: number): boolean | Promise<boolean>
  /** Entries held in this process. */
  readonly size: number
  close(): Promise<void> | void
}

export interface MemoryNonceOptions {
  /** How long a nonce must be remembered, in milliseconds: no less than it could be accepted again. */
  readonly retentionMs: number
  /** Entries held at most. Default 262144, about 40 MB. */
  readonly capacity?: number
  /**
   * Nonces up to this one are refused under keys that are not known. The axon sets the time of its
   * start: what was accepted before a restart is not accepted after it.
   */
  readonly floor?: bigint
}

/** What was accepted in one slice of time. */
interface Generation {
  readonly nonces: Map<string, bigint>
  /** No entry is younger, in milliseconds. */
  readonly untilMs: number
  greatest: bigint
}

const SLICES = 4
const MAX_GENERATIONS = 8

/**
 * Nonces in memory, bounded. They leave by generations, when all of one are too old to matter. Should
 * the store be full of fresh ones, the oldest generation leaves early and the floor rises to its
 * greatest nonce: that narrows the window for callers not known, but lets no replay through.
 */
export class MemoryNonceStore implements NonceStore {
  /** Oldest first. */
  readonly #generations: Generation[] = []
  readonly #retentionMs: number
  readonly #perGeneration: number
  #floor: bigint

  constructor(options: MemoryNonceOptions) {
    this.#retentionMs = options.retentionMs
    this.#perGeneration = Math.max(1, Math.floor((options.capacity ?? 262_144) / MAX_GENERATIONS))
    this.#floor = options.floor ?? -1n
  }

  get size(): number {
    return this.#generations.reduce((sum, { nonces }) => sum + nonces.size, 0)
  }

  lastKnown(key: string): bigint | undefined {
    for (let i = this.#generations.length - 1; i >= 0; i -= 1) {
      const nonce = this.#generations[i]?.nonces.get(key)
      if (nonce !== undefined) return nonce
    }
    return undefined
  }

  advance(key: string, nonce: bigint, nowMs: number): boolean {
    if (nonce <= (this.lastKnown(key) ?? this.#floor)) return false
    this.#remember(key, nonce, nowMs)
    return true
  }

  once(key: string, nonce: bigint, nowMs: number): boolean {
    if (nonce <= this.#floor || this.lastKnown(key) !== undefined) return false
    this.#remember(key, nonce, nowMs)
    return true
  }

  close(): void {
    this.#generations.length = 0
  }

  #remember(key: string, nonce: bigint, nowMs: number): void {
    const generation = this.#current(nowMs)
    generation.nonces.set(key, nonce)
    if (nonce > generation.greatest) generation.greatest = nonce
  }

  #current(nowMs: number): Generation {
    const last = this.#generations.at(-1)
    if (last !== undefined && nowMs < last.untilMs && last.nonces.size < this.#perGeneration) {
      return last
    }
    const untilMs = nowMs + this.#retentionMs / SLICES
    const next: Generation = { nonces: new Map(), untilMs, greatest: -1n }
    this.#generations.push(next)
    this.#forget(nowMs)
    return next
  }

  #forget(nowMs: number): void {
    for (;;) {
      const [oldest] = this.#generations
      if (oldest === undefined) return
      const expired = oldest.untilMs + this.#retentionMs <= nowMs
      if (!expired && this.#generations.length <= MAX_GENERATIONS) return
      this.#generations.shift()
      if (!expired && oldest.greatest > this.#floor) this.#floor = oldest.greatest
    }
  }
}
