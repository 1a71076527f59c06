import type { BlockNumber, Coldkey, Hotkey, Netuid, Rao, Uid } from '../protocol/units.js'
import type { Signer } from '../wallet/types.js'

export interface AxonEndpoint {
  /** IPv4 or IPv6 text; absent on chain when the neuron does not serve. */
  readonly ip: string
  readonly port: number
  /** SDK version integer, major*1e6 + minor*1e3 + patch. */
  readonly version: number
  readonly protocol: number
}

export interface Neuron {
  readonly uid: Uid
  readonly hotkey: Hotkey
  readonly coldkey: Coldkey
  /** Total stake weight in TAO (alpha + tao share, as the runtime reports it). */
  readonly stake: number
  readonly alphaStake: number
  readonly taoStake: number
  readonly active: boolean
  readonly validatorPermit: boolean
  /** 0–1. */
  readonly trust: number
  /** 0–1. */
  readonly incentive: number
  /** 0–1. */
  readonly dividends: number
  /** 0–1. */
  readonly consensus: number
  /** Alpha per epoch, rao. */
  readonly emission: Rao
  readonly lastUpdate: BlockNumber
  readonly registeredAt: BlockNumber
  readonly axon: AxonEndpoint | undefined
}

/** One subnet at one block hash. */
export interface Metagraph {
  readonly netuid: Netuid
  readonly block: BlockNumber
  readonly blockHash: string
  /** Indexed by uid. */
  readonly neurons: readonly Neuron[]
}

export interface Hyperparameters {
  readonly tempo: number
  readonly weightsRateLimit: number
  readonly minAllowedWeights: number
  /** u16; 65535 = no limit. */
  readonly maxWeightsLimit: number
  readonly weightsVersion: bigint
  readonly commitRevealEnabled: boolean
  readonly commitRevealVersion: number
  readonly revealPeriodEpochs: number
  readonly immunityPeriod: number
  readonly servingRateLimit: number
  readonly activityCutoff: number
  readonly maxAllowedUids: number
  readonly maxAllowedValidators: number
  readonly registrationAllowed: boolean
  readonly burn: Rao
}

export interface Head {
  readonly number: BlockNumber
  readonly hash: string
}

export interface CallOptions {
  readonly signal?: AbortSignal
}

export interface ServeRequest {
  readonly netuid: Netuid
  readonly ip: string
  readonly port: number
  readonly version: number
  /** DER or raw public key for serve_axon_tls. */
  readonly certificate?: Uint8Array
}

/** What happened to an extrinsic or why none was needed. */
export type Submission =
  | { readonly outcome: 'included'; readonly extrinsicHash: string; readonly block: BlockNumber }
  | { readonly outcome: 'unchanged' }
  | {
      readonly outcome: 'refused'
      /** The runtime's error name, e.g. `SettingWeightsTooFast`, whichever way it was reported. */
      readonly error: string
      /** `retry` soon, `wait` for a later block or another event, `stop` until somebody acts. */
      readonly action: 'retry' | 'wait' | 'stop'
      readonly message: string
      /** The first block at which the same call may succeed, where that is known. */
      readonly retryAt?: BlockNumber
    }

export interface WeightsRequest {
  readonly netuid: Netuid
  readonly mechanism?: number
  /** Parallel to `weights`. */
  readonly uids: readonly Uid[]
  /** Non-negative floats; processed and quantised as the SDK does. */
  readonly weights: readonly number[]
  /** Whose preparation: 10 pads and clips as bittensor 10.5, 11 refuses short vectors as 11.3. Default 10. */
  readonly sdk?: 10 | 11
  /** What the sender implements, compared with the subnet's weights version. Default: the client's. */
  readonly versionKey?: bigint
}

/** How the weights went on chain: the subnet's hyperparameters decide. */
export type WeightsMethod = 'set' | 'commit-reveal' | 'timelocked'

export type WeightsResult = Submission & {
  readonly method: WeightsMethod
  /** Read back from the chain and found there. Only of an included one. */
  readonly verified?: boolean
}

/** Where a subnet is in its epochs. */
export interface EpochInfo {
  readonly block: BlockNumber
  readonly index: number
  /** `Infinity` for a subnet that has no epochs. */
  readonly blocksUntilNext: number
  readonly blockTimeMs: number
}

export interface RevealRequest {
  readonly netuid: Netuid
  readonly mechanism?: number
}

/** Everything the rest of Subreel asks of the network. @polkadot/api stays behind it. */
export interface Chain {
  head(options?: CallOptions): Promise<Head>
  blockHash(block: BlockNumber, options?: CallOptions): Promise<string | undefined>
  metagraph(netuid: Netuid, options?: CallOptions): Promise<Metagraph>
  hyperparameters(netuid: Netuid, options?: CallOptions): Promise<Hyperparameters>
  epoch(netuid: Netuid, options?: CallOptions): Promise<EpochInfo>
  /** Weights last set on chain by `uid`, u16 values. */
  weights(netuid: Netuid, uid: Uid, options?: CallOptions): Promise<ReadonlyMap<Uid, number>>
  /** @throws WalletError WALLET_ADDRESS_INVALID */
  balance(address: string, options?: CallOptions): Promise<Rao>
  serveAxon(signer: Signer, request: ServeRequest, options?: CallOptions): Promise<Submission>
  /**
   * Sends one vector the way the subnet demands. Never sends zeros: without a positive weight the last
   * good vector goes again. Retries what may pass within the call.
   */
  setWeights(signer: Signer, request: WeightsRequest, options?: CallOptions): Promise<WeightsResult>
  /** Reveals salted commits whose time has come; call once per epoch. Timelocked ones reveal themselves. */
  revealWeights(
    signer: Signer,
    request: RevealRequest,
    options?: CallOptions,
  ): Promise<readonly Submission[]>
  register(
    coldkey: Signer,
    request: { readonly netuid: Netuid; readonly hotkey: Hotkey; readonly limit?: Rao },
    options?: CallOptions,
  ): Promise<Submission>
  /** Calls `onHead` for each new head until closed. */
  watchHeads(onHead: (head: Head) => void): { close(): void }
  close(): Promise<void>
}
