export {
  type BlockMode,
  DEV_SUBNET,
  type Devnet,
  type DevnetOptions,
  startDevnet,
} from './devnet.js'
export { DevnetError } from './errors.js'
export type { Faults } from './faults.js'
export {
  DEV_ACCOUNTS,
  type GenesisHyperparameters,
  type GenesisNeuron,
  type GenesisSubnet,
  type KeyName,
} from './genesis.js'
export { RUNTIME_MODELS, type RuntimeModel, type RuntimeOptions } from './runtime/runtime.js'
