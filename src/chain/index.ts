export { checkServable } from './address.js'
export { type ChainOptions, createChain, SDK_WEIGHTS_VERSION } from './chain.js'
export { classify, type Refusal, type RefusalAction } from './classify.js'
export {
  blocksUntilNextEpoch,
  type EpochSchedule,
  epochIndex,
  mechanismIndex,
  revealBlock,
  revealRound,
} from './epoch.js'
export { ChainError } from './errors.js'
export { FileWeightLedger, readLedgerFile, weightLedgerPath } from './file-ledger.js'
export {
  hashVector,
  type LedgerQuery,
  MemoryWeightLedger,
  type WeightEntry,
  type WeightLedger,
  type WeightState,
} from './ledger.js'
export { diffMetagraphs, type MetagraphChange } from './metagraph.js'
export { type ChainMetrics, createMetrics } from './metrics.js'
export { type Network, resolveNetwork } from './networks.js'
export { type DiscoverOptions, discoverPublicIp } from './public-ip.js'
export { processWeights, processWeightsStrict, quantise } from './quantise.js'
export { open, seal } from './timelock.js'
export type {
  AxonEndpoint,
  CallOptions,
  Chain,
  EpochInfo,
  Head,
  Hyperparameters,
  Metagraph,
  Neuron,
  RevealRequest,
  ServeRequest,
  Submission,
  WeightsMethod,
  WeightsRequest,
  WeightsResult,
} from './types.js'
