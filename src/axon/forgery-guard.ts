import { LruMap } from '../lib/lru.js'
import { type RateLimit, TokenBuckets } from './buckets.js'

export interface ForgeryLimits {
  /** Bad signatures of one claimed hotkey from one address. */
  readonly perPair: RateLimit
  /** Bad signatures from one address, whatever hotkeys it claims. */
  readonly perAddress: RateLimit
  /** Bad signatures in all. One check costs about 0.3 ms of a core. */
  readonly overall: RateLimit
}

export const FORGERY_LIMITS: ForgeryLimits = {
  perPair: { perSecond: 2, burst: 8 },
  perAddress: { perSecond: 20, burst: 100 },
  overall: { perSecond: 200, burst: 400 },
}

const KNOWN_PAIRS = 16_384
const ALL = ''

/**
 * Decides before a signature is checked whether checking it is worth the time.
 *
 * Only bad signatures draw on these budgets: what an unverified request claims can use up nobody
 * else's. A pair of address and hotkey that has proved itself is not held to what others do, so a
 * flood of forgeries from elsewhere, or with other hotkeys, leaves an honest caller alone.
 */
export class ForgeryGuard {
  readonly #pairs: TokenBuckets
  readonly #addresses: TokenBuckets
  readonly #overall: TokenBuckets
  readonly #proved = new LruMap<string, true>(KNOWN_PAIRS)

  constructor(limits: ForgeryLimits = FORGERY_LIMITS) {
    this.#pairs = new TokenBuckets(limits.perPair, KNOWN_PAIRS)
    this.#addresses = new TokenBuckets(limits.perAddress, KNOWN_PAIRS)
    this.#overall = new TokenBuckets(limits.overall, 1)
  }

  /** Milliseconds until a signature of this claim may be checked; 0 for now. */
  waitMs(address: string, hotkey: string, nowMs: number): number {
    const pair = `${address} ${hotkey}`
    const own = this.#pairs.waitMs(pair, nowMs)
    if (own > 0 || this.#proved.get(pair) === true) return own
    return Math.max(this.#addresses.waitMs(address, nowMs), this.#overall.waitMs(ALL, nowMs))
  }

  passed(address: string, hotkey: string): void {
    this.#proved.set(`${address} ${hotkey}`, true)
  }

  failed(address: string, hotkey: string, nowMs: number): void {
    this.#pairs.take(`${address} ${hotkey}`, nowMs)
    this.#addresses.take(address, nowMs)
    this.#overall.take(ALL, nowMs)
  }
}
