import { randomUUID } from 'node:crypto'
import { isAbort } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import type { AnySynapse } from '../protocol/synapse.js'
import { fault, type WireFault } from '../protocol/wire/fault.js'
import {
  btauthReply,
  type LegacyReplyOptions,
  legacyReply,
  legacyStreamHead,
  prepareReply,
  type WireReply,
} from '../protocol/wire/legacy-reply.js'
import {
  checkBodyHash,
  checkBodyName,
  parseRequestBody,
  type ReceivedRequest,
} from '../protocol/wire/legacy-request.js'
import { RequestContext } from './context.js'
import { AxonError } from './errors.js'
import { type Claim, Gate, isRefusal, type Refusal } from './gate.js'
import type { AxonMetrics } from './metrics.js'
import type { AxonSettings } from './options.js'
import type { Passage } from './passage.js'
import { Scheduler } from './scheduler.js'
import type { StreamReply } from './types.js'

const NO_BYTES = new Uint8Array(0)
const COMPLAIN_EVERY_MS = 10_000

interface Modules {
  readonly log: Logger
  readonly metrics: () => AxonMetrics
  /** Aborts when the axon has no more patience with running handlers. */
  readonly stopping: AbortSignal
}

/**
 * The way of a request, cheapest check first:
 *
 *     head  ► known hotkey ► blacklist ► rate ► nonce window ► signature ► nonce used up
 *     body  ► schema ► body hash ► a slot, by priority ► handler ► reply
 *
 * A legacy signature covers headers alone and is checked before the body is read. A btauth/1
 * signature covers the body, and is checked when that is here.
 */
export class Pipeline {
  readonly scheduler: Scheduler
  readonly #settings: AxonSettings
  readonly #gate: Gate
  readonly #modules: Modules
  #running = 0
  #nextComplaintMs = Number.NEGATIVE_INFINITY
  #idle: (() => void) | undefined

  constructor(settings: AxonSettings, modules: Modules) {
    this.#settings = settings
    this.#gate = new Gate(settings)
    this.scheduler = new Scheduler(settings)
    this.#modules = modules
  }

  /** Whether connections of this address are closed unheard. */
  shuns(address: string): boolean {
    return this.#gate.shuns(address)
  }

  /** Whether somebody has proved who he is from this address. */
  knows(address: string): boolean {
    return this.#gate.knows(address)
  }

  /** Counts a request that is for no synapse against its sender. True to hang up. */
  blame(refused: WireFault, address: string): boolean {
    return this.#gate.blame({ fault: refused }, address).hangUp === true
  }

  /** Judges the head; calls `proceed` when the body may be read, or else has answered. */
  head(passage: Passage, proceed: () => void): void {
    let screened: ReturnType<Gate['screen']>
    try {
      screened = this.#gate.screen(passage.route, passage.head)
    } catch (error) {
      // A blacklist or a metagraph that throws must not let anybody in, nor end the process.
      this.#refuse(passage, { fault: this.#internal(passage, error) })
      return
    }
    if (!(screened instanceof Promise)) {
      this.#screened(passage, screened, proceed)
      return
    }
    screened.then(
      (result) => this.#screened(passage, result, proceed),
      (error: unknown) => this.#refuse(passage, { fault: this.#internal(passage, error) }),
    )
  }

  /** Serves a request whose head has been let through. */
  async body(passage: Passage, body: Uint8Array): Promise<void> {
    const { claim } = passage
    if (claim === undefined) return
    if (claim.protocol === 'btauth1') {
      const refusal = await this.#verify(passage, claim, body)
      if (refusal !== undefined) {
        this.#refuse(passage, refusal)
        return
      }
    }
    const received = this.#receive(claim, body)
    if (isRefusal(received)) {
      this.#refuse(passage, received)
      return
    }
    this.#running += 1
    try {
      await this.#run(passage, claim, received)
    } finally {
      this.#running -= 1
      if (this.#running === 0) this.#idle?.()
    }
  }

  #receive(claim: Claim, body: Uint8Array): ReceivedRequest | Refusal {
    const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8')
    const parsed = parseRequestBody(claim.route.definition, text)
    if (!parsed.ok) return parsed
    const { value: received } = parsed
    if (claim.protocol !== 'legacy') return received
    const wrong =
      checkBodyHash(received, claim.sender.bodyHash) ??
      (this.#settings.strictHeaders ? checkBodyName(received) : undefined)
    return wrong === undefined ? received : { fault: wrong }
  }

  /** Resolves when no handler runs, at the latest after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.scheduler.close()
    if (this.#running === 0) return
    const grace = new AbortController()
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve
    })
    const timer = this.#settings.clock.sleep(graceMs, grace.signal).catch(() => {})
    await Promise.race([idle, timer])
    grace.abort()
  }

  #screened(passage: Passage, result: Claim | Refusal, proceed: () => void): void {
    if (isRefusal(result)) {
      this.#refuse(passage, result)
      return
    }
    passage.claim = result
    if (result.protocol === 'btauth1') {
      proceed()
      return
    }
    void this.#verify(passage, result, NO_BYTES).then((refusal) => {
      if (refusal === undefined) proceed()
      else this.#refuse(passage, refusal)
    })
  }

  async #verify(passage: Passage, claim: Claim, body: Uint8Array): Promise<Refusal | undefined> {
    try {
      return await this.#gate.verify(claim, passage.head, body)
    } catch (error) {
      if (error instanceof AxonError && error.code === 'AXON_NONCES_UNAVAILABLE') {
        this.#noncesLost(error)
        return { fault: { ...fault('overloaded', 'Try again later'), status: 503 } }
      }
      return { fault: this.#internal(passage, error) }
    }
  }

  async #run(passage: Passage, claim: Claim, received: ReceivedRequest): Promise<void> {
    using context = this.#context(passage, claim)
    const slot = await this.#slot(passage, claim, context)
    if (isRefusal(slot)) {
      this.#refuse(passage, slot)
      return
    }
    try {
      const answer = await passage.route.run(received.request, context)
      if (isStream(passage.route.definition, answer)) {
        await passage.stream(this.#streamHead(passage, claim), answer)
      } else {
        const prepared = prepareReply(received, (answer ?? {}) as Record<string, unknown>)
        passage.send(this.#wireReply(passage, claim, prepared))
      }
      this.#modules.metrics().ended(passage.synapse, 'ok', passage.seconds)
    } catch (error) {
      this.#refuse(passage, this.#handlerRefusal(passage, context, error))
    } finally {
      slot.release()
    }
  }

  async #slot(
    passage: Passage,
    claim: Claim,
    context: RequestContext,
  ): Promise<Refusal | { readonly release: () => void }> {
    const { caller } = claim
    let priority: number
    try {
      priority = passage.route.priority?.(caller) ?? caller.peer?.stake ?? 0
    } catch (error) {
      return this.#handlerRefusal(passage, context, error)
    }
    const mustWait = this.scheduler.active >= this.#settings.concurrency
    const slot = await this.scheduler.acquire(priority, mustWait ? context.signal : undefined)
    if (slot.granted) return slot
    if (slot.why === 'gone') {
      return { fault: fault('overloaded', 'No time left, or the axon stops') }
    }
    const retryAfterMs = this.scheduler.retryAfterMs()
    return { fault: fault('overloaded', 'Too busy'), retryAfterMs }
  }

  #context(passage: Passage, claim: Claim): RequestContext {
    const { maxTimeoutMs } = this.#settings
    const asked = claim.protocol === 'legacy' ? (claim.headers.timeoutS ?? 0) * 1000 : maxTimeoutMs
    const timeoutMs = asked > 0 && asked < maxTimeoutMs ? Math.ceil(asked) : maxTimeoutMs
    return new RequestContext(claim, timeoutMs, passage.response, this.#modules.stopping)
  }

  #wireReply(passage: Passage, claim: Claim, prepared: ReturnType<typeof prepareReply>): WireReply {
    if (claim.protocol === 'btauth1') return btauthReply(prepared)
    return legacyReply(prepared, this.#replyOptions(passage, claim.headers))
  }

  #streamHead(passage: Passage, claim: Claim): Omit<WireReply, 'body'> {
    if (claim.protocol === 'btauth1') {
      return { status: 200, headers: ['content-type', 'text/event-stream'] }
    }
    return legacyStreamHead(passage.route.definition, this.#replyOptions(passage, claim.headers))
  }

  #replyOptions(passage: Passage, request: LegacyReplyOptions['request']): LegacyReplyOptions {
    return { request, ownHotkey: this.#settings.ownHotkey, processTimeS: passage.seconds }
  }

  /** What a failed handler means for the caller. */
  #handlerRefusal(passage: Passage, context: RequestContext, error: unknown): Refusal {
    if (error instanceof AxonError && error.data.code === 'AXON_REFUSED') {
      const { status, retryAfterMs } = error.data
      const refused: WireFault = { ...fault('refused', error.message), status }
      return retryAfterMs === undefined ? { fault: refused } : { fault: refused, retryAfterMs }
    }
    if (isAbort(error) || (error instanceof Error && error.name === 'TimeoutError')) {
      const seconds = context.timeoutMs / 1000
      return { fault: fault('priority-timeout', `Response timeout after: ${seconds}s`) }
    }
    return { fault: this.#internal(passage, error) }
  }

  /** Every request meets it; the log need hear of it now and then. */
  #noncesLost(error: AxonError): void {
    const nowMs = this.#settings.clock.monotonic()
    if (nowMs < this.#nextComplaintMs) return
    this.#nextComplaintMs = nowMs + COMPLAIN_EVERY_MS
    const { log } = this.#modules
    log.error({ event: 'nonces.lost', err: error }, 'the nonce store does not answer')
  }

  /** A refusal that tells the caller nothing but an id, which the log has too. */
  #internal(passage: Passage, error: unknown): WireFault {
    const id = randomUUID()
    const { log } = this.#modules
    const { synapse } = passage
    log.error({ event: 'handler.failed', id, synapse, err: error }, 'a request failed here')
    return fault('internal', `Internal Server Error #${id}`)
  }

  #refuse(passage: Passage, refusal: Refusal): void {
    const { code, message: reason } = refusal.fault
    const { log, metrics } = this.#modules
    const { protocols, ownHotkey } = this.#settings
    passage.refuse(refusal, protocols.legacy ? ownHotkey : undefined)
    metrics().ended(passage.synapse, code, passage.seconds)
    if (!log.isLevelEnabled('debug')) return
    const { address } = passage.head
    const { synapse } = passage
    log.debug({ event: 'request.refused', synapse, code, address, reason }, 'refused a request')
  }
}

function isStream(definition: AnySynapse, answer: unknown): answer is StreamReply {
  return (
    definition.streaming &&
    typeof answer === 'object' &&
    answer !== null &&
    Symbol.asyncIterator in answer
  )
}
