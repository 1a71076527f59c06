import { LruMap } from '../lib/lru.js'

export interface RateLimit {
  /** Requests per second in the long run. */
  readonly perSecond: number
  /** Requests that may come at once. */
  readonly burst: number
}

interface Bucket {
  tokens: number
  atMs: number
}

/**
 * Token buckets by key, for at most `capacity` keys; the least recently used is forgotten, which
 * fills its bucket. Looking costs nothing: only `take` draws.
 */
export class TokenBuckets {
  readonly #limit: RateLimit
  readonly #buckets: LruMap<string, Bucket>

  constructor(limit: RateLimit, capacity = 65_536) {
    if (!(limit.perSecond > 0) || !(limit.burst >= 1)) {
      throw new RangeError('a rate limit needs perSecond above 0 and burst of at least 1')
    }
    this.#limit = limit
    this.#buckets = new LruMap(capacity)
  }

  get size(): number {
    return this.#buckets.size
  }

  /** Milliseconds until the key has a token: 0 when it has one now. */
  waitMs(key: string, nowMs: number): number {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return 0
    const missing = 1 - this.#refilled(bucket, nowMs)
    return missing <= 0 ? 0 : Math.ceil((missing / this.#limit.perSecond) * 1000)
  }

  /** Draws one token, to no less than zero. True when there was one. */
  take(key: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      this.#buckets.set(key, { tokens: this.#limit.burst - 1, atMs: nowMs })
      return true
    }
    const tokens = this.#refilled(bucket, nowMs)
    bucket.atMs = nowMs
    bucket.tokens = tokens >= 1 ? tokens - 1 : tokens
    return tokens >= 1
  }

  #refilled(bucket: Bucket, nowMs: number): number {
    const elapsedS = Math.max(0, nowMs - bucket.atMs) / 1000
    return Math.min(this.#limit.burst, bucket.tokens + elapsedS * this.#limit.perSecond)
  }
}
