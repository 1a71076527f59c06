import type { Clock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { withResolvers } from '../lib/resources.js'
import { type RetryPolicy, retryDelayMs } from '../lib/retry.js'
import type { Rng } from '../lib/rng.js'
import { withoutCredentials } from '../lib/secret.js'
import { ChainError } from './errors.js'
import type { ChainMetrics } from './metrics.js'
import type { RequestOptions } from './socket.js'
import type { Head } from './types.js'

/** What the uplink needs of a connection. */
export interface Link {
  readonly endpoint: string
  readonly genesisHash: string
  readonly blockTimeMs: number
  readonly head: Head
  pollHead(options?: RequestOptions): Promise<Head>
  blockHash(block: number, options?: RequestOptions): Promise<string | undefined>
  finalized(options?: RequestOptions): Promise<Head>
  request(method: string, params: readonly unknown[], options?: RequestOptions): Promise<unknown>
  onHead(listener: (head: Head) => void): () => void
  onClose(listener: (error: ChainError) => void): void
  close(): Promise<void>
}

export interface UplinkOptions<L extends Link> {
  /** In order of preference. */
  readonly endpoints: readonly string[]
  readonly connect: (endpoint: string, signal: AbortSignal) => Promise<L>
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
  readonly metrics?: ChainMetrics
  /** Only a network with this genesis is accepted; otherwise the first one seen. */
  readonly genesisHash?: string
  /** Leave an endpoint after this long without a new head. Default: three block times. */
  readonly stallMs?: number
  /** Deadline of the watchdog's own calls. Default 8 s. */
  readonly probeTimeoutMs?: number
  readonly backoff?: RetryPolicy
}

/** Why an endpoint was left. */
export type LeaveReason = 'closed' | 'stalled' | 'silent' | 'forked' | 'behind' | 'suspected'

/** A head this far below the best one seen means that the node is behind. */
const BEHIND_BLOCKS = 5
const DEFAULT_PROBE_TIMEOUT_MS = 8_000
const BACKOFF: RetryPolicy = { attempts: 1, baseMs: 500, maxMs: 30_000 }
/** First wait for an endpoint that answered 429; it doubles with each. */
const THROTTLED: RetryPolicy = { attempts: 1, baseMs: 10_000, maxMs: 300_000 }
const HTTP_TOO_MANY = 429

/** How long unreachable endpoints are hoped for before a doubtful one is taken. */
const LAST_RESORT_MS = 60_000

/** What became of the endpoints since there was no connection. */
interface Tried {
  readonly refused: Set<string>
  readonly failed: Set<string>
  readonly since: number
}

interface EndpointState {
  readonly endpoint: string
  failures: number
  /** On the monotonic clock; not tried earlier. */
  notBefore: number
  /** Why it was last left or not taken. */
  trouble: string
}

/**
 * Keeps one working connection out of an ordered list of endpoints.
 *
 * Worst case for a socket that went silent without closing (a blackhole), at 12 s blocks:
 *
 *     0 s     the last head arrived; from here on nothing comes
 *     ≤ 6 s   the next probe (every half block time, at most 6 s) is sent
 *     ≤ 14 s  the probe's deadline (8 s) passes → the endpoint is left
 *     36 s    at the latest: three block times without a new head → the endpoint is left
 *
 * The second rule alone catches nodes that answer but stand still. The 45 s promised hold either way.
 */
export class Uplink<L extends Link> {
  readonly #options: UplinkOptions<L>
  readonly #states: readonly EndpointState[]
  readonly #stop = new AbortController()
  readonly #headListeners = new Set<(head: Head) => void>()
  #running: Promise<void> | undefined
  #link: L | undefined
  #ready = withResolvers<L>()
  #leave: ((reason: LeaveReason) => void) | undefined
  #genesis: string | undefined
  #best = 0
  #finalized: Head | undefined

  constructor(options: UplinkOptions<L>) {
    this.#options = options
    this.#states = options.endpoints.map((endpoint) => ({
      endpoint,
      failures: 0,
      notBefore: 0,
      trouble: 'not tried yet',
    }))
    this.#genesis = options.genesisHash
    this.#ready.promise.catch(() => undefined)
  }

  /** The current connection, once there is one. Starts connecting at the first call. */
  async link(signal: AbortSignal): Promise<L> {
    if (this.#stop.signal.aborted) throw closedError()
    this.#running ??= this.#run()
    if (this.#link !== undefined) return this.#link
    signal.throwIfAborted()
    const aborted = withResolvers<never>()
    const onAbort = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await Promise.race([this.#ready.promise, aborted.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** The connection at this moment, if any. */
  get current(): L | undefined {
    return this.#link
  }

  /** Each endpoint and why it was last left or not taken. */
  get troubles(): readonly (readonly [endpoint: string, trouble: string])[] {
    return this.#states.map(({ endpoint, trouble }) => [withoutCredentials(endpoint), trouble])
  }

  /** Tells that calls on `link` time out: it is left without waiting for the watchdog. */
  suspect(link: L): void {
    if (this.#link === link) this.#leave?.('suspected')
  }

  /** Heads of whichever endpoint is in use; after a change of endpoint numbers may repeat. */
  onHead(listener: (head: Head) => void): () => void {
    this.#headListeners.add(listener)
    this.#running ??= this.#run()
    return () => this.#headListeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#stop.abort(closedError())
    this.#ready.reject(closedError())
    this.#headListeners.clear()
    await this.#running
  }

  async #run(): Promise<void> {
    const { log, metrics } = this.#options
    while (!this.#stop.signal.aborted) {
      const link = await this.#establish()
      if (link === undefined) return
      metrics?.connected.set(1)
      log.info(
        { event: 'endpoint.joined', endpoint: withoutCredentials(link.endpoint) },
        'connected to the chain',
      )
      const reason = await this.#serve(link)
      metrics?.connected.set(0)
      await link.close().catch(() => undefined)
      if (reason === undefined) return
      metrics?.endpointsLeft.inc({ reason })
      log.warn(
        { event: 'endpoint.left', endpoint: withoutCredentials(link.endpoint), reason },
        'left a chain endpoint',
      )
      this.#postpone(link.endpoint, reason)
    }
  }

  /** Publishes the connection and watches it until it must be left; `undefined` when closing. */
  async #serve(link: L): Promise<LeaveReason | undefined> {
    const left = withResolvers<LeaveReason | undefined>()
    const end = new AbortController()
    this.#leave = left.resolve
    const onStop = () => left.resolve(undefined)
    this.#stop.signal.addEventListener('abort', onStop, { once: true })
    if (this.#stop.signal.aborted) onStop()
    link.onClose(() => left.resolve('closed'))
    let lastNewHead = this.#options.clock.monotonic()
    const state = this.#states.find(({ endpoint }) => endpoint === link.endpoint)
    const off = link.onHead((head) => {
      // Only a node that brings blocks has proved itself; one that accepts and drops keeps backing off.
      if (state !== undefined) state.failures = 0
      if (head.number >= this.#best) lastNewHead = this.#options.clock.monotonic()
      this.#best = Math.max(this.#best, head.number)
      this.#options.metrics?.head.set(head.number)
      for (const listener of this.#headListeners) listener(head)
    })
    this.#best = Math.max(this.#best, link.head.number)
    this.#link = link
    this.#ready.resolve(link)
    for (const listener of this.#headListeners) listener(link.head)
    const watching = this.#watch(link, () => lastNewHead, left.resolve, end.signal)
    const reason = await left.promise
    this.#link = undefined
    this.#leave = undefined
    this.#ready = withResolvers<L>()
    this.#ready.promise.catch(() => undefined)
    if (this.#stop.signal.aborted) this.#ready.reject(closedError())
    off()
    end.abort()
    this.#stop.signal.removeEventListener('abort', onStop)
    await watching
    return reason
  }

  async #watch(
    link: L,
    lastNewHead: () => number,
    leave: (reason: LeaveReason) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#options
    const stallMs = this.#options.stallMs ?? 3 * link.blockTimeMs
    const everyMs = Math.min(Math.max(Math.min(link.blockTimeMs, stallMs) / 2, 100), 6_000)
    const timeoutMs = this.#options.probeTimeoutMs ?? DEFAULT_PROBE_TIMEOUT_MS
    while (!signal.aborted) {
      try {
        await clock.sleep(everyMs, signal)
        // Asking also finds heads of a subscription that was lost (polkadot-js api #3538).
        await link.pollHead({ signal, timeoutMs })
        if (await this.#forkedFrom(link, { signal, timeoutMs })) return leave('forked')
        if (clock.monotonic() - lastNewHead() >= stallMs) return leave('stalled')
      } catch (error) {
        if (!signal.aborted) {
          this.#options.log.debug(
            {
              event: 'endpoint.probe-failed',
              endpoint: withoutCredentials(link.endpoint),
              reason: describeError(error),
            },
            'a chain endpoint did not answer the watchdog',
          )
          leave('silent')
        }
        return
      }
    }
  }

  /** Whether the node's chain lacks the last block known as final; remembers the newest final block. */
  async #forkedFrom(link: L, options: RequestOptions): Promise<boolean> {
    const known = this.#finalized
    if (known !== undefined) {
      const theirs = await link.blockHash(known.number, options)
      if (theirs === undefined ? link.head.number >= known.number : theirs !== known.hash)
        return true
    }
    const finalized = await link.finalized(options)
    if (known === undefined || finalized.number > known.number) this.#finalized = finalized
    return false
  }

  /** Tries endpoints in order until one is good; `undefined` when closing. */
  async #establish(): Promise<L | undefined> {
    const { clock, log } = this.#options
    const signal = this.#stop.signal
    const tried = {
      refused: new Set<string>(),
      failed: new Set<string>(),
      since: clock.monotonic(),
    }
    while (!signal.aborted) {
      const state = [...this.#states].sort((a, b) => a.notBefore - b.notBefore)[0]
      const now = clock.monotonic()
      const eligible = this.#states.find(({ notBefore }) => notBefore <= now)
      if (eligible === undefined) {
        await clock.sleep((state?.notBefore ?? now) - now, signal).catch(() => undefined)
        continue
      }
      try {
        const link = await this.#options.connect(eligible.endpoint, signal)
        const refusal = await this.#judge(link, signal)
        if (refusal === undefined || this.#isLastResort(refusal, eligible, tried)) {
          return link
        }
        await link.close()
        log.warn(
          {
            event: 'endpoint.refused',
            endpoint: withoutCredentials(eligible.endpoint),
            reason: refusal,
          },
          'a chain endpoint is not usable now',
        )
        this.#postpone(eligible.endpoint, refusal)
      } catch (error) {
        if (signal.aborted) return undefined
        tried.failed.add(eligible.endpoint)
        log.warn(
          {
            event: 'endpoint.failed',
            endpoint: withoutCredentials(eligible.endpoint),
            reason: describeError(error),
          },
          'a chain endpoint could not be reached',
        )
        this.#postpone(eligible.endpoint, describeError(error), isThrottled(error))
      }
    }
    return undefined
  }

  /** Whether a fresh connection is fit for use. */
  async #judge(link: L, signal: AbortSignal): Promise<'behind' | 'forked' | undefined> {
    this.#genesis ??= link.genesisHash
    if (link.genesisHash !== this.#genesis) {
      await link.close()
      throw new ChainError(
        { code: 'CHAIN_WRONG_NETWORK', expected: this.#genesis, actual: link.genesisHash },
        `${withoutCredentials(link.endpoint)} serves a network with genesis ${link.genesisHash}, not ${this.#genesis}`,
      )
    }
    const timeoutMs = this.#options.probeTimeoutMs ?? DEFAULT_PROBE_TIMEOUT_MS
    try {
      if (link.head.number + BEHIND_BLOCKS < this.#best) return 'behind'
      if (await isSyncing(link, { signal, timeoutMs })) return 'behind'
      return (await this.#forkedFrom(link, { signal, timeoutMs })) ? 'forked' : undefined
    } catch (error) {
      await link.close()
      throw error
    }
  }

  /**
   * When every endpoint is behind or disagrees with what we saw, it was us who followed a wrong node
   * (or there is but one): forget it and take what there is. The same when the others stay unreachable.
   */
  #isLastResort(refusal: 'behind' | 'forked', state: EndpointState, tried: Tried): boolean {
    tried.refused.add(state.endpoint)
    const all = this.#states.every(({ endpoint }) => tried.refused.has(endpoint))
    const waited = this.#options.clock.monotonic() - tried.since >= LAST_RESORT_MS
    const none = this.#states.every(
      ({ endpoint }) => tried.refused.has(endpoint) || tried.failed.has(endpoint),
    )
    if (!all && !(none && waited)) return false
    this.#options.log.warn(
      { event: 'endpoint.accepted', endpoint: withoutCredentials(state.endpoint), reason: refusal },
      'no endpoint agrees with the blocks seen before; following this one',
    )
    this.#best = 0
    this.#finalized = undefined
    return true
  }

  #postpone(endpoint: string, trouble: string, throttled = false): void {
    const state = this.#states.find((item) => item.endpoint === endpoint)
    if (state === undefined) return
    // A node that stood still but answered is no worse than before: where the chain itself rests, the
    // only endpoint there is must be at hand again soon.
    state.failures = trouble === 'stalled' ? 1 : state.failures + 1
    state.trouble = trouble
    const policy = throttled ? THROTTLED : (this.#options.backoff ?? BACKOFF)
    const delayMs = retryDelayMs(policy, state.failures, this.#options.rng.float())
    state.notBefore = this.#options.clock.monotonic() + delayMs
  }
}

async function isSyncing(link: Link, options: RequestOptions): Promise<boolean> {
  const health = await link.request('system_health', [], options).catch((error: unknown) => {
    // A gateway that keeps this call to itself says nothing about its node.
    if (error instanceof ChainError && error.code === 'CHAIN_RPC_FAILED') return undefined
    throw error
  })
  return typeof health === 'object' && health !== null && 'isSyncing' in health
    ? health.isSyncing === true
    : false
}

function isThrottled(error: unknown): boolean {
  return (
    error instanceof ChainError &&
    error.data.code === 'CHAIN_DISCONNECTED' &&
    error.data.status === HTTP_TOO_MANY
  )
}

function closedError(): ChainError {
  return new ChainError({ code: 'CHAIN_CLOSED' }, 'the chain client was closed')
}
