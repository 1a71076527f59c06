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

interface Entry {
  readonly nonce: bigint
  readonly expiresMs: number
}

/**
 * Nonces in memory, bounded. Entries leave when they are too old to matter. Should the store be full
 * of fresh ones, the oldest leaves early and the floor rises to its nonce: that narrows the window
 * for callers not known, but lets no replay through.
 */
export class MemoryNonceStore implements NonceStore {
  /** In the order of acceptance, which is the order of expiry. */
  readonly #entries = new Map<string, Entry>()
  readonly #retentionMs: number
  readonly #capacity: number
  #floor: bigint

  constructor(options: MemoryNonceOptions) {
    this.#retentionMs = options.retentionMs
    this.#capacity = options.capacity ?? 262_144
    this.#floor = options.floor ?? -1n
  }

  get size(): number {
    return this.#entries.size
  }

  lastKnown(key: string): bigint | undefined {
    return this.#entries.get(key)?.nonce
  }

  advance(key: string, nonce: bigint, nowMs: number): boolean {
    if (nonce <= (this.#entries.get(key)?.nonce ?? this.#floor)) return false
    this.#remember(key, nonce, nowMs)
    return true
  }

  once(key: string, nonce: bigint, nowMs: number): boolean {
    if (nonce <= this.#floor || this.#entries.has(key)) return false
    this.#remember(key, nonce, nowMs)
    return true
  }

  close(): void {
    this.#entries.clear()
  }

  #remember(key: string, nonce: bigint, nowMs: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { nonce, expiresMs: nowMs + this.#retentionMs })
    for (const [oldKey, entry] of this.#entries) {
      const expired = entry.expiresMs <= nowMs
      if (!expired && this.#entries.size <= this.#capacity) break
      this.#entries.delete(oldKey)
      if (!expired && entry.nonce > this.#floor) this.#floor = entry.nonce
    }
  }
}
