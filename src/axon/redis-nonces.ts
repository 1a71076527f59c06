import type { Redis } from 'ioredis'
import { AxonError } from './errors.js'
import { MemoryNonceStore, type NonceStore } from './nonces.js'

/** Decimal digits to which nonces are padded, so that Redis compares them as text. */
const DIGITS = 40

/** Takes the nonce if it is above the stored one, in one step for all processes. */
const ADVANCE = `
local last = redis.call('GET', KEYS[1])
if last and last >= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

export interface RedisNonceOptions {
  /**
   * A connection of the caller's, which stays the caller's to close. Make it with
   * `enableOfflineQueue: false` and a `commandTimeout`, so that a lost Redis is noticed at once.
   */
  readonly redis: Redis
  /** How long a nonce must be remembered, in milliseconds. */
  readonly retentionMs: number
  /** Of the receiving hotkey: two axons of one hotkey share nonces, those of two do not. */
  readonly prefix: string
}

/**
 * Nonces in Redis: shared by the axon processes of one hotkey and alive after their restart. When
 * Redis does not answer, requests are refused rather than taken unchecked.
 */
export class RedisNonceStore implements NonceStore {
  readonly #redis: Redis
  readonly #retentionMs: number
  readonly #prefix: string
  /** What this process has seen, for the check before the signature. */
  readonly #seen: MemoryNonceStore

  constructor(options: RedisNonceOptions) {
    this.#redis = options.redis
    this.#retentionMs = options.retentionMs
    this.#prefix = options.prefix
    this.#seen = new MemoryNonceStore({ retentionMs: options.retentionMs, capacity: 65_536 })
  }

  get size(): number {
    return this.#seen.size
  }

  lastKnown(key: string): bigint | undefined {
    return this.#seen.lastKnown(key)
  }

  async advance(key: string, nonce: bigint, nowMs: number): Promise<boolean> {
    const padded = String(nonce).padStart(DIGITS, '0')
    const taken = await this.#ask(() =>
      this.#redis.eval(ADVANCE, 1, this.#prefix + key, padded, this.#retentionMs),
    )
    if (taken === 1) this.#seen.advance(key, nonce, nowMs)
    return taken === 1
  }

  async once(key: string, nonce: bigint, nowMs: number): Promise<boolean> {
    const taken = await this.#ask(() =>
      this.#redis.set(this.#prefix + key, '1', 'PX', this.#retentionMs, 'NX'),
    )
    if (taken === 'OK') this.#seen.once(key, nonce, nowMs)
    return taken === 'OK'
  }

  close(): void {
    this.#seen.close()
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    try {
      return await command()
    } catch (cause) {
      throw new AxonError(
        { code: 'AXON_NONCES_UNAVAILABLE' },
        'Redis does not answer, so replays cannot be ruled out: requests are refused until it does',
        { cause, retryable: true },
      )
    }
  }
}
