/** How much one address may ask of the built-in store. */
export interface RateLimit {
  /** Requests that may come at once. */
  readonly burst: number
  /** Requests per second after that. */
  readonly perSecond: number
  /** Answers in flight. */
  readonly concurrent: number
}

export const DEFAULT_RATE_LIMIT: RateLimit = { burst: 120, perSecond: 20, concurrent: 16 }

/** No more addresses than this are remembered; the longest silent is forgotten first. */
const MAX_ADDRESSES = 10_000

interface Bucket {
  tokens: number
  atMs: number
  open: number
}

/** A token bucket per address. */
export class RateLimiter {
  readonly #limit: RateLimit
  readonly #buckets = new Map<string, Bucket>()

  constructor(limit: RateLimit) {
    this.#limit = limit
  }

  /** Undefined when the request may go on (call `leave` at its end), else seconds to wait. */
  enter(address: string, nowMs: number): number | undefined {
    const { burst, perSecond, concurrent } = this.#limit
    const known = this.#buckets.get(address)
    const bucket = known ?? { tokens: burst, atMs: nowMs, open: 0 }
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * perSecond)
    bucket.atMs = nowMs
    // Deleting first moves the address to the young end of the map.
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    this.#forgetOldest()
    if (bucket.open >= concurrent) return 1
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond))
    bucket.tokens -= 1
    bucket.open += 1
    return undefined
  }

  leave(address: string): void {
    const bucket = this.#buckets.get(address)
    if (bucket !== undefined) bucket.open = Math.max(0, bucket.open - 1)
  }

  #forgetOldest(): void {
    for (const [address, bucket] of this.#buckets) {
      if (this.#buckets.size <= MAX_ADDRESSES) return
      if (bucket.open === 0) this.#buckets.delete(address)
    }
  }
}
