export { type Axon, createAxon, refuse } from './axon.js'
export type { RateLimit } from './buckets.js'
export { AxonError } from './errors.js'
export { FLOOD_LIMITS, type FloodLimits } from './flood-guard.js'
export { type MemoryNonceOptions, MemoryNonceStore, type NonceStore } from './nonces.js'
export { type AxonOptions, type ConnectionLimits, nonceRetentionMs } from './options.js'
export { type RedisNonceOptions, RedisNonceStore } from './redis-nonces.js'
export {
  type AccessPolicy,
  type AxonRoute,
  type Caller,
  type Handler,
  type HandlerContext,
  type Peer,
  type Peers,
  type StreamReply,
  type SynapseRoute,
  serve,
  type WireProtocol,
} from './types.js'
