export { createDendrite, type DendriteOptions } from './dendrite.js'
export { DendriteError } from './errors.js'
export type {
  CallFailure,
  CallOptions,
  CallOutcome,
  CallSuccess,
  Dendrite,
  DendriteSettings,
  FailureKind,
  ForwardOptions,
  StreamOutcome,
  StreamSuccess,
  Target,
  WireProtocol,
} from './types.js'
