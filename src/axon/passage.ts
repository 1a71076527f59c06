import type { IncomingMessage } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { WireFault } from '../protocol/wire/fault.js'
import { isLegacy } from '../protocol/wire/legacy.js'
import {
  btauthFaultReply,
  legacyFaultReply,
  type WireReply,
} from '../protocol/wire/legacy-reply.js'
import type { Claim, Refusal, RequestHead } from './gate.js'
import { sendReply, sendStream } from './reply.js'
import type { AxonRoute, StreamReply } from './types.js'

/** One request on its way through the axon, and the only one who answers it. */
export class Passage {
  readonly route: AxonRoute
  readonly head: RequestHead
  /** Set once everything but the signature has been checked. */
  claim: Claim | undefined
  readonly #raw: IncomingMessage
  readonly #reply: FastifyReply
  readonly #elapsedMs: () => number

  constructor(
    route: AxonRoute,
    raw: IncomingMessage,
    reply: FastifyReply,
    elapsedMs: () => number,
  ) {
    this.route = route
    this.#raw = raw
    this.#reply = reply
    this.#elapsedMs = elapsedMs
    this.head = {
      method: raw.method ?? 'POST',
      target: raw.url ?? '/',
      headers: raw.headers,
      address: raw.socket.remoteAddress ?? '',
    }
  }

  get synapse(): string {
    return this.route.definition.name
  }

  get response() {
    return this.#reply.raw
  }

  /** Seconds since the head was read. */
  get seconds(): number {
    return this.#elapsedMs() / 1000
  }

  send(wire: WireReply, hangUp = false): void {
    this.#take()
    sendReply(this.#raw, this.#reply.raw, wire, hangUp)
  }

  stream(head: Omit<WireReply, 'body'>, chunks: StreamReply): Promise<void> {
    this.#take()
    return sendStream(this.#reply.raw, head, chunks)
  }

  /** `ownHotkey` is undefined where the legacy protocol is not served: then nothing hints at it. */
  refuse(refusal: Refusal, ownHotkey: string | undefined): void {
    const { retryAfterMs, hangUp = false } = refusal
    const wire = this.#faultReply(refusal.fault, ownHotkey)
    if (retryAfterMs !== undefined) {
      wire.headers.push('retry-after', String(Math.ceil(retryAfterMs / 1000)))
    }
    this.send(wire, hangUp)
  }

  #faultReply(refused: WireFault, ownHotkey: string | undefined): WireReply {
    // Who sent no header of the legacy protocol understands none.
    if (ownHotkey === undefined || !isLegacy(this.head.headers)) return btauthFaultReply(refused)
    return legacyFaultReply(refused, {
      name: this.synapse,
      ownHotkey,
      processTimeS: this.seconds,
    })
  }

  /** From here on Fastify leaves the response alone: it would serialise and copy what is ready. */
  #take(): void {
    if (!this.#reply.sent) this.#reply.hijack()
  }
}
