import type { Registry } from '../lib/metrics.js'
import type { AnySynapse, RequestInput, ResponseOf } from '../protocol/index.js'

export type WireProtocol = 'legacy' | 'btauth1'

/** Where a neuron serves, as the chain announces it. */
export interface Target {
  /** ss58 of the neuron; a legacy request is bound to it. */
  readonly hotkey: string
  /** IPv4 or IPv6 text. */
  readonly ip: string
  readonly port: number
  /** SDK version integer from the chain: from 11.0.0 on, btauth/1 is tried first. */
  readonly version?: number
}

/** Why a call brought no response. A closed set, usable as a metric label. */
export type FailureKind =
  /** The peer answered, with a status that is no success. */
  | 'refused'
  /** No answer within the deadline: 408. */
  | 'timeout'
  /** Nobody listens there: 503. */
  | 'unreachable'
  /** The peer hung up without an answer: 503. */
  | 'disconnected'
  /** An answer that cannot be read: 400 or 422. */
  | 'bad-reply'
  /** An answer larger than the limit: 422. */
  | 'too-large'
  /** The target's address is private, or no address at all; nothing was sent: 503. */
  | 'address-refused'
  /** This machine could not send, being out of sockets or memory: 503. Never the miner's fault. */
  | 'local'

interface OutcomeBase {
  readonly target: Target
  readonly protocol: WireProtocol
  /** From start to end as measured here, in milliseconds. */
  readonly processTimeMs: number
}

export interface CallSuccess<D extends AnySynapse> extends OutcomeBase {
  readonly ok: true
  readonly statusCode: 200
  readonly statusMessage: string | undefined
  readonly response: ResponseOf<D>
  /** The peer's own figure, in milliseconds; a claim. */
  readonly peerTimeMs: number | undefined
}

export interface CallFailure extends OutcomeBase {
  readonly ok: false
  readonly kind: FailureKind
  /** As the Python dendrite numbers it; undefined for a reply that names no status. */
  readonly statusCode: number | undefined
  /** From the peer where it answered: hostile text. */
  readonly statusMessage: string | undefined
}

export type CallOutcome<D extends AnySynapse = AnySynapse> = CallSuccess<D> | CallFailure

/** A streamed answer: chunks as they come. Iterating throws when the peer cuts the stream. */
export interface StreamSuccess extends OutcomeBase {
  readonly ok: true
  readonly statusCode: 200
  readonly statusMessage: string | undefined
  readonly chunks: AsyncIterable<Uint8Array>
}

export type StreamOutcome = StreamSuccess | CallFailure

export interface CallOptions {
  /** The whole call, in milliseconds. Default 12 000, as in Python. */
  readonly timeoutMs?: number
  /** Aborting rejects the call with the signal's reason. */
  readonly signal?: AbortSignal
  /** The answer is cut there. Default 16 MiB. */
  readonly maxReplyBytes?: number
}

export interface ForwardOptions extends CallOptions {
  /** Calls in flight at once. Default 64. */
  readonly concurrency?: number
}

export interface Dendrite extends AsyncDisposable {
  /**
   * Sends one request. Whatever the miner does comes back as an outcome.
   * @throws ProtocolError PROTOCOL_PAYLOAD_INVALID; DendriteError DENDRITE_CLOSED; the signal's reason
   */
  call<D extends AnySynapse>(
    target: Target,
    synapse: D,
    payload: RequestInput<D>,
    options?: CallOptions,
  ): Promise<CallOutcome<D>>
  /** Sends one request to many targets; outcomes in the order of the targets. Throws as call does. */
  forward<D extends AnySynapse>(
    targets: readonly Target[],
    synapse: D,
    payload: RequestInput<D>,
    options?: ForwardOptions,
  ): Promise<CallOutcome<D>[]>
  /** Sends a request whose answer is a stream. Throws as call does. */
  stream<D extends AnySynapse>(
    target: Target,
    synapse: D,
    payload: RequestInput<D>,
    options?: CallOptions,
  ): Promise<StreamOutcome>
  close(): Promise<void>
}

export interface DendriteSettings {
  /**
   * `auto` starts with the legacy protocol, or with btauth/1 where the chain announces SDK 11, changes
   * when the answer shows that the peer speaks the other, and remembers. Default `auto`.
   */
  readonly protocol?: 'auto' | WireProtocol
  /** Allow loopback and private addresses: for local networks only. Default false. */
  readonly allowPrivate?: boolean
  /** The address we claim to call from; nobody verifies it. Default `0.0.0.0`. */
  readonly externalIp?: string
  /** The SDK version we announce. Default that of the SDK we follow. */
  readonly version?: number
  /** Open connections per peer. Default 8. */
  readonly connectionsPerPeer?: number
  readonly registry?: Registry
}
