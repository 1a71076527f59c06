/**
 * The public face: what most programs need. Each library has a path of its own with everything in
 * it: subreel/protocol, subreel/axon, subreel/dendrite, subreel/chain, subreel/wallet, subreel/scoring.
 */
export {
  type Axon,
  AxonError,
  type AxonOptions,
  createAxon,
  type Peer,
  type Peers,
  serve,
} from './axon/index.js'
export {
  type Chain,
  ChainError,
  createChain,
  type Metagraph,
  resolveNetwork,
} from './chain/index.js'
export {
  type CallOutcome,
  createDendrite,
  type Dendrite,
  DendriteError,
  type Target,
} from './dendrite/index.js'
export { SubnetError } from './lib/errors.js'
export {
  defineSynapse,
  ProtocolError,
  SYNAPSES,
  toHotkey,
  toNetuid,
  toUid,
} from './protocol/index.js'
export { createJudge, createVmafScorer, type ScoreRecord, ScoringError } from './scoring/index.js'
export {
  createVerifier,
  loadHotkey,
  type Signer,
  signerFromUri,
  WalletError,
} from './wallet/index.js'
