import { LruMap } from '../lib/lru.js'
import { type RateLimit, TokenBuckets } from './buckets.js'
import { networkOf } from './network.js'

export interface FloodLimits {
  /** Bad signatures of one claimed hotkey from one address. */
  readonly forgedPerPair: RateLimit
  /** Bad signatures from one address, whatever hotkeys it claims. */
  readonly forgedPerAddress: RateLimit
  /** Bad signatures in all. One check costs about 0.1 ms of a core. */
  readonly forgedInAll: RateLimit
  /** Requests of one address refused for any other fault of their own: unsigned, unregistered, stale. */
  readonly refusedPerAddress: RateLimit
  /** An address over its budget is not even listened to for so long, in milliseconds. */
  readonly shunMs: number
}

export const FLOOD_LIMITS: FloodLimits = {
  forgedPerPair: { perSecond: 2, burst: 8 },
  forgedPerAddress: { perSecond: 5, burst: 20 },
  forgedInAll: { perSecond: 200, burst: 400 },
  refusedPerAddress: { perSecond: 100, burst: 2000 },
  shunMs: 10_000,
}

const KNOWN = 16_384
const ALL = ''

/**
 * Decides what of a flood is worth looking at.
 *
 * An address stands for its network: over IPv6 its /64.
 *
 * Only requests that were refused draw on these budgets: what an unverified request claims can use
 * up nobody else's. A pair of address and hotkey that has proved itself is not held to what others
 * do, and its address is never shunned, so a flood of forgeries leaves an honest caller alone, even
 * one behind the same proxy.
 */
export class FloodGuard {
  readonly #pairs: TokenBuckets
  readonly #addresses: TokenBuckets
  readonly #overall: TokenBuckets
  readonly #refusals: TokenBuckets
  readonly #provedPairs = new LruMap<string, true>(KNOWN)
  readonly #provedAddresses = new LruMap<string, true>(KNOWN)
  readonly #shunned = new LruMap<string, number>(KNOWN)
  readonly #shunMs: number

  constructor(limits: FloodLimits = FLOOD_LIMITS) {
    this.#pairs = new TokenBuckets(limits.forgedPerPair, KNOWN)
    this.#addresses = new TokenBuckets(limits.forgedPerAddress, KNOWN)
    this.#overall = new TokenBuckets(limits.forgedInAll, 1)
    this.#refusals = new TokenBuckets(limits.refusedPerAddress, KNOWN)
    this.#shunMs = limits.shunMs
  }

  /** Whether connections of this address are closed unheard. */
  shuns(from: string, nowMs: number): boolean {
    const address = networkOf(from)
    const untilMs = this.#shunned.get(address)
    if (untilMs === undefined) return false
    if (untilMs > nowMs && this.#provedAddresses.get(address) === undefined) return true
    this.#shunned.delete(address)
    return false
  }

  /** Whether somebody has proved who he is from this address. */
  knows(from: string): boolean {
    return this.#provedAddresses.get(networkOf(from)) === true
  }

  /** Milliseconds until a signature of this claim may be checked; 0 for now. */
  waitMs(from: string, hotkey: string, nowMs: number): number {
    const address = networkOf(from)
    const pair = `${address} ${hotkey}`
    const own = this.#pairs.waitMs(pair, nowMs)
    if (own > 0 || this.#provedPairs.get(pair) === true) return own
    return Math.max(this.#addresses.waitMs(address, nowMs), this.#overall.waitMs(ALL, nowMs))
  }

  /** A signature was right. */
  passed(from: string, hotkey: string): void {
    const address = networkOf(from)
    this.#provedPairs.set(`${address} ${hotkey}`, true)
    this.#provedAddresses.set(address, true)
  }

  /** A signature was wrong. */
  forged(from: string, hotkey: string, nowMs: number): void {
    const address = networkOf(from)
    this.#pairs.take(`${address} ${hotkey}`, nowMs)
    this.#overall.take(ALL, nowMs)
    if (!this.#addresses.take(address, nowMs)) this.#shun(address, nowMs)
  }

  /** A claim was not looked at because of what its address or pair sent before. */
  insisted(from: string, nowMs: number): void {
    const address = networkOf(from)
    if (this.#addresses.waitMs(address, nowMs) > 0) this.#shun(address, nowMs)
    else this.refused(from, nowMs)
  }

  /** A request was refused for a fault of its own that took no signature to see. */
  refused(from: string, nowMs: number): void {
    const address = networkOf(from)
    if (!this.#refusals.take(address, nowMs)) this.#shun(address, nowMs)
  }

  #shun(address: string, nowMs: number): void {
    this.#shunned.set(address, nowMs + this.#shunMs)
  }
}
