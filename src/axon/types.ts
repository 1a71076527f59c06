import type { AnySynapse, RequestOf, ResponseInput } from '../protocol/synapse.js'
import type { Hotkey, Uid } from '../protocol/units.js'

/** What the axon knows of a caller that the chain has registered. */
export interface Peer {
  readonly hotkey: Hotkey
  readonly uid: Uid
  /** Total stake weight in TAO. */
  readonly stake: number
  readonly validatorPermit: boolean
}

/** The axon's whole view of the network: the chain's metagraph implements it, tests use a Map. */
export interface Peers {
  lookup(hotkey: string): Peer | undefined
}

export const WIRE_PROTOCOLS = ['legacy', 'btauth1'] as const
export type WireProtocol = (typeof WIRE_PROTOCOLS)[number]

/**
 * Who calls. A blacklist sees it as claimed; priorities and handlers see it verified. Nothing in it
 * comes from the request's body.
 */
export interface Caller {
  /** ss58 with prefix 42. */
  readonly hotkey: Hotkey
  /** Undefined only where callers that are not registered are allowed. */
  readonly peer: Peer | undefined
  readonly protocol: WireProtocol
  /** The socket's remote IP address. */
  readonly address: string
}

export interface HandlerContext {
  readonly caller: Caller
  /** The same for no two requests that were accepted: a key for idempotent work. */
  readonly requestId: string
  /** How long the caller waits, in milliseconds, capped by the axon. */
  readonly timeoutMs: number
  /** Aborts when the caller hangs up, its time is over or the axon stops, while the handler runs. */
  readonly signal: AbortSignal
}

/** What a streaming handler yields: chunks that go out as they come. */
export type StreamReply = AsyncIterable<string | Uint8Array>

/** Answers one synapse. Throw what `refuse` makes to turn the caller down in words of your own. */
export type Handler<D extends AnySynapse> = (
  request: RequestOf<D>,
  context: HandlerContext,
) => true extends D['streaming']
  ? StreamReply | Promise<StreamReply> | ResponseInput<D> | Promise<ResponseInput<D>>
  : ResponseInput<D> | Promise<ResponseInput<D>>

/** Who may call. */
export interface AccessPolicy {
  /** TAO of total stake weight. Default 0. */
  readonly minStake?: number
  /** Default false. */
  readonly requireValidatorPermit?: boolean
  /** Take callers that the chain does not know. Default false. */
  readonly allowUnregistered?: boolean
}

export interface SynapseRoute<D extends AnySynapse> {
  readonly definition: D
  readonly handler: NoInfer<Handler<D>>
  /** Greater is sooner. Default: the caller's stake. */
  readonly priority?: (caller: Caller) => number
  /** The reason to turn this caller away, or undefined. Runs before the signature is checked. */
  readonly blacklist?: (caller: Caller) => string | undefined | Promise<string | undefined>
  /** Differs from the axon's for this synapse. */
  readonly access?: AccessPolicy
}

/** A route whose synapse has been forgotten by the compiler: what `serve` returns. */
export interface AxonRoute extends Omit<SynapseRoute<AnySynapse>, 'handler'> {
  readonly run: (request: unknown, context: HandlerContext) => unknown
}

/** Ties a handler to its synapse; the handler's types follow from the definition. */
export function serve<D extends AnySynapse>(route: SynapseRoute<D>): AxonRoute {
  const { handler, ...rest } = route
  return {
    ...rest,
    // The request reaches `run` only after the definition has parsed it.
    run: (request, context) => handler(request as RequestOf<D>, context),
  }
}
