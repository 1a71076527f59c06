import ipaddr from 'ipaddr.js'
import { type Clock, Deadline, SystemClock } from '../lib/clock.js'
import { requirePublicAddress } from '../lib/http/address.js'
import { mapLimit } from '../lib/loop.js'
import { LruMap } from '../lib/lru.js'
import { type Rng, SystemRng } from '../lib/rng.js'
import {
  type AnySynapse,
  btauthHeaders,
  btauthPayload,
  floatRepr,
  isLegacyReply,
  legacyMessage,
  legacyRequest,
  type PreparedRequest,
  prepareRequest,
  type ReplyReading,
  type RequestInput,
  readBtauthReply,
  readLegacyReply,
  WIRE_VERSION,
} from '../protocol/index.js'
import type { Signer } from '../wallet/types.js'
import { DendriteError } from './errors.js'
import { classify, type Failure, TransportFailure, timedOut } from './failure.js'
import { createMetrics, type DendriteMetrics } from './metrics.js'
import { SenderIds } from './senders.js'
import { type ReplyHead, readText, Transport } from './transport.js'
import type {
  CallFailure,
  CallOptions,
  CallOutcome,
  CallSuccess,
  Dendrite,
  DendriteSettings,
  ForwardOptions,
  StreamOutcome,
  StreamSuccess,
  Target,
  WireProtocol,
} from './types.js'

export interface DendriteOptions extends DendriteSettings {
  /** Signs every request; its address is who we are. */
  readonly wallet: Signer
  readonly clock?: Clock
  readonly rng?: Rng
}

const DEFAULT_TIMEOUT_MS = 12_000
const DEFAULT_MAX_REPLY_BYTES = 16 * 1024 * 1024
const DEFAULT_CONCURRENCY = 64
const DEFAULT_CONNECTIONS = 8
/** Peers whose protocol is remembered: more than any subnet has neurons. */
const PEERS_REMEMBERED = 4096
const SDK_WITHOUT_LEGACY = 11_000_000
const REDO_STATUSES = new Set([400, 401, 403, 404, 405, 415, 422])

/**
 * Makes the calling half of a neuron.
 *
 *     await using dendrite = createDendrite({ wallet })
 *     const outcome = await dendrite.call(target, TaskWarrant, {}, { timeoutMs: 10_000 })
 *     if (outcome.ok) use(outcome.response.warrant_task)
 *
 * @throws DendriteError DENDRITE_SCHEME_UNSUPPORTED
 */
export function createDendrite(options: DendriteOptions): Dendrite {
  return new HttpDendrite(options)
}

/** What one attempt brought. */
interface Exchange {
  readonly head: ReplyHead
  readonly protocol: WireProtocol
}

interface Call {
  readonly target: Target
  readonly prepared: PreparedRequest
  readonly timeoutMs: number
  readonly maxReplyBytes: number
  readonly deadline: Deadline
}

class HttpDendrite implements Dendrite {
  readonly #wallet: Signer
  readonly #clock: Clock
  readonly #senders: SenderIds
  readonly #transport: Transport
  readonly #settings: DendriteSettings
  readonly #metrics: DendriteMetrics | undefined
  readonly #spoken = new LruMap<string, WireProtocol>(PEERS_REMEMBERED)
  #closed = false

  constructor(options: DendriteOptions) {
    const { wallet } = options
    if (options.protocol === 'legacy' && wallet.scheme !== 'sr25519') {
      throw new DendriteError(
        { code: 'DENDRITE_SCHEME_UNSUPPORTED', scheme: wallet.scheme },
        `the legacy protocol cannot carry ${wallet.scheme} signatures; use an sr25519 hotkey or protocol btauth1`,
      )
    }
    this.#wallet = wallet
    this.#settings = options
    this.#clock = options.clock ?? new SystemClock()
    this.#senders = new SenderIds(options.rng ?? new SystemRng())
    this.#transport = new Transport(options.connectionsPerPeer ?? DEFAULT_CONNECTIONS)
    this.#metrics = options.registry === undefined ? undefined : createMetrics(options.registry)
  }

  async call<D extends AnySynapse>(
    target: Target,
    synapse: D,
    payload: RequestInput<D>,
    options: CallOptions = {},
  ): Promise<CallOutcome<D>> {
    return this.#call(target, prepareRequest(synapse, payload), options)
  }

  async forward<D extends AnySynapse>(
    targets: readonly Target[],
    synapse: D,
    payload: RequestInput<D>,
    options: ForwardOptions = {},
  ): Promise<CallOutcome<D>[]> {
    const prepared = prepareRequest(synapse, payload)
    return mapLimit(targets, options.concurrency ?? DEFAULT_CONCURRENCY, (target) =>
      this.#call(target, prepared, options),
    )
  }

  async stream<D extends AnySynapse>(
    target: Target,
    synapse: D,
    payload: RequestInput<D>,
    options: CallOptions = {},
  ): Promise<StreamOutcome> {
    const prepared = prepareRequest(synapse, payload)
    const started = this.#clock.monotonic()
    return this.#run<StreamSuccess>(target, prepared, options, async (call) => {
      const { head, protocol } = await this.#exchange(call)
      const measured = () => ({
        target,
        protocol,
        processTimeMs: this.#clock.monotonic() - started,
      })
      if (head.status !== 200) {
        return failed(await this.#read(call, head, protocol), measured())
      }
      const chunks = bounded(head, call)
      return { ok: true, statusCode: 200, statusMessage: 'Success', chunks, ...measured() }
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#transport.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #call<D extends AnySynapse>(
    target: Target,
    prepared: PreparedRequest<D>,
    options: CallOptions,
  ): Promise<CallOutcome<D>> {
    const started = this.#clock.monotonic()
    return this.#run<CallSuccess<D>>(target, prepared, options, async (call) => {
      const { head, protocol } = await this.#exchange(call)
      const reading = await this.#read<D>(call, head, protocol)
      const measured = { target, protocol, processTimeMs: this.#clock.monotonic() - started }
      if (reading.status !== 200 || reading.response === undefined) return failed(reading, measured)
      return {
        ok: true,
        statusCode: 200,
        statusMessage: reading.message,
        response: reading.response,
        peerTimeMs: reading.processTimeS === undefined ? undefined : reading.processTimeS * 1e3,
        ...measured,
      }
    })
  }

  /** Everything around an exchange: guard, deadline, metrics, and failures as outcomes. */
  async #run<S extends { readonly ok: true; readonly protocol: WireProtocol }>(
    target: Target,
    prepared: PreparedRequest,
    options: CallOptions,
    exchange: (call: Call) => Promise<S | CallFailure>,
  ): Promise<S | CallFailure> {
    options.signal?.throwIfAborted()
    this.#requireOpen()
    const started = this.#clock.monotonic()
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const deadline = new Deadline(timeoutMs, options.signal)
    const maxReplyBytes = options.maxReplyBytes ?? DEFAULT_MAX_REPLY_BYTES
    this.#metrics?.inFlight.inc()
    let outcome: S | CallFailure | undefined
    try {
      this.#guard(target)
      outcome = await exchange({ target, prepared, timeoutMs, maxReplyBytes, deadline })
    } catch (error) {
      if (deadline.signal.aborted && !deadline.expired) throw deadline.signal.reason
      this.#requireOpen()
      const failure = deadline.expired
        ? timedOut(floatRepr(timeoutMs / 1e3))
        : classify(error, {
            place: `${target.ip}:${target.port}/${prepared.definition.name}`,
            inBody: false,
          })
      outcome = {
        ok: false,
        kind: failure.kind,
        statusCode: failure.status,
        statusMessage: failure.message,
        target,
        protocol: this.#protocolOf(target),
        processTimeMs: this.#clock.monotonic() - started,
      }
    } finally {
      this.#metrics?.inFlight.dec()
      // A stream keeps its deadline until it is read.
      if (outcome === undefined || !('chunks' in outcome)) deadline[Symbol.dispose]()
    }
    this.#metrics?.calls.inc({
      synapse: prepared.definition.name,
      protocol: outcome.protocol,
      outcome: outcome.ok ? 'ok' : outcome.kind,
    })
    this.#metrics?.seconds.observe(
      { synapse: prepared.definition.name },
      (this.#clock.monotonic() - started) / 1e3,
    )
    return outcome
  }

  #requireOpen(): void {
    if (!this.#closed) return
    throw new DendriteError({ code: 'DENDRITE_CLOSED' }, 'the dendrite is closed; make a new one')
  }

  #guard(target: Target): void {
    const refuse = (problem: string) =>
      new TransportFailure({ kind: 'address-refused', status: 503, message: problem })
    if (!ipaddr.isValid(target.ip)) throw refuse('the target has no valid ip address')
    if (!Number.isInteger(target.port) || target.port < 1 || target.port > 65_535) {
      throw refuse('the target has no valid port')
    }
    if (this.#settings.allowPrivate === true) return
    try {
      requirePublicAddress(target.ip)
    } catch {
      throw refuse('the target is a private address; those are for local networks only')
    }
  }

  /** Sends in the protocol the peer is known for, and once more if the answer shows the other. */
  async #exchange(call: Call): Promise<Exchange> {
    const first = this.#protocolOf(call.target)
    const head = await this.#send(call, first)
    if ((this.#settings.protocol ?? 'auto') !== 'auto') return { head, protocol: first }
    const other = this.#otherProtocol(first, head)
    if (other === undefined) {
      if (head.status === 200) this.#spoken.set(peerKey(call.target), first)
      return { head, protocol: first }
    }
    head.body.on('error', () => {}).destroy()
    const second = await this.#send(call, other)
    if (second.status === 200 || this.#otherProtocol(other, second) === undefined) {
      this.#spoken.set(peerKey(call.target), other)
    }
    return { head: second, protocol: other }
  }

  // A legacy axon marks each of its refusals; whoever does not is none, and the other way round.
  #otherProtocol(used: WireProtocol, head: ReplyHead): WireProtocol | undefined {
    if (!REDO_STATUSES.has(head.status) && head.status !== 500) return undefined
    const marked = isLegacyReply(head.headers)
    if (used === 'btauth1') {
      return marked && this.#wallet.scheme === 'sr25519' ? 'legacy' : undefined
    }
    return marked || head.status === 500 ? undefined : 'btauth1'
  }

  #protocolOf(target: Target): WireProtocol {
    const { protocol = 'auto' } = this.#settings
    if (protocol !== 'auto') return protocol
    if (this.#wallet.scheme !== 'sr25519') return 'btauth1'
    const modern = (target.version ?? 0) >= SDK_WITHOUT_LEGACY
    return this.#spoken.get(peerKey(target)) ?? (modern ? 'btauth1' : 'legacy')
  }

  async #send(call: Call, protocol: WireProtocol): Promise<ReplyHead> {
    const { target } = call
    const { signal } = call.deadline
    const host = target.ip.includes(':') ? `[${target.ip}]` : target.ip
    const origin = `http://${host}:${target.port}`
    const path = `/${call.prepared.definition.name}`
    if (protocol === 'btauth1') {
      return this.#transport.send({ origin, path, ...this.#btauth(call, path), signal })
    }
    const uuid = this.#senders.take()
    try {
      return await this.#transport.send({ origin, path, ...this.#legacy(call, uuid), signal })
    } finally {
      this.#senders.give(uuid)
    }
  }

  #legacy(call: Call, uuid: string) {
    const { target, prepared } = call
    const nonce = this.#clock.nowNs()
    const message = legacyMessage({
      nonce,
      sender: this.#wallet.address,
      receiver: target.hotkey,
      uuid,
      bodyHash: prepared.bodyHash,
    })
    return legacyRequest(prepared, {
      timeoutS: call.timeoutMs / 1e3,
      sender: {
        ip: this.#settings.externalIp ?? '0.0.0.0',
        version: this.#settings.version ?? WIRE_VERSION,
        nonce,
        uuid,
        hotkey: this.#wallet.address,
        signature: this.#sign(message),
      },
      receiver: target,
    })
  }

  #btauth(call: Call, path: string) {
    const body = `{${call.prepared.members}}`
    const parts = {
      scheme: this.#wallet.scheme,
      nonce: this.#clock.nowNs(),
      sender: this.#wallet.address,
      receiver: call.target.hotkey,
    }
    const payload = btauthPayload({ ...parts, method: 'POST', target: path, body })
    const headers = btauthHeaders({ ...parts, signature: this.#sign(payload) })
    headers.push('content-type', 'application/json')
    return { headers, body }
  }

  #sign(message: string): string {
    const signature = this.#wallet.sign(Buffer.from(message, 'utf8'))
    return `0x${Buffer.from(signature).toString('hex')}`
  }

  async #read<D extends AnySynapse>(
    call: Call,
    head: ReplyHead,
    protocol: WireProtocol,
  ): Promise<ReplyReading<D>> {
    const definition = call.prepared.definition as D
    let body: string
    try {
      body = await readText(head, call.maxReplyBytes)
    } catch (error) {
      if (call.deadline.signal.aborted) throw error
      const { target } = call
      const place = `${target.ip}:${target.port}/${definition.name}`
      throw new TransportFailure(classify(error, { place, inBody: true }))
    }
    const reply = { status: head.status, headers: head.headers, body }
    return protocol === 'legacy'
      ? readLegacyReply(definition, reply)
      : readBtauthReply(definition, reply)
  }
}

const peerKey = (target: Target): string => `${target.hotkey}@${target.ip}:${target.port}`

function failed(
  reading: ReplyReading,
  measured: { target: Target; protocol: WireProtocol; processTimeMs: number },
): CallFailure {
  return {
    ok: false,
    kind: reading.readable ? 'refused' : 'bad-reply',
    statusCode: reading.status,
    statusMessage: reading.message,
    ...measured,
  }
}

/** The chunks of a streamed body, at most as many bytes as the call allows. */
async function* bounded(head: ReplyHead, call: Call): AsyncGenerator<Uint8Array> {
  using _ = call.deadline
  let size = 0
  for await (const chunk of head.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > call.maxReplyBytes) {
      const failure: Failure = {
        kind: 'too-large',
        status: 422,
        message: `stream is larger than ${call.maxReplyBytes} bytes`,
      }
      throw new TransportFailure(failure)
    }
    yield chunk
  }
}
