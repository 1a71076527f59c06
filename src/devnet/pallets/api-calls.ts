import { CALL_WEIGHT, inclusionFee } from '../fees.js'
import { type MetadataVersion, metadataVersions } from '../metadata/metadata.js'
import { APIS, type ApiArgs, type ApiMethod, type ApiResult, type Apis } from '../runtime/apis.js'
import type { AccountId } from '../runtime/frame-types.js'
import type { Runtime } from '../runtime/runtime.js'
import { inRange } from '../runtime/storage.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { System } from '../runtime/system.js'
import { Reader } from '../scale/bytes.js'
import { type AnyCodec, bytes, encode } from '../scale/codec.js'
import type { View } from '../state/view.js'
import {
  hyperparams,
  metagraphOf,
  netuids,
  neuronLite,
  neuronsLite,
  selectFields,
  subnetExists,
} from './metagraph.js'
import { nextEpochStart } from './schedule.js'
import {
  delegateOf,
  dynamicInfoOf,
  stakeInfoOf,
  stakesOf,
  subnetInfoOf,
  swapAtPar,
} from './summaries.js'

export interface ApiContext {
  readonly runtime: Runtime
  readonly state: View
  readonly block: number
  readonly metadata: (version: MetadataVersion) => Uint8Array
  /** Whether the call in an encoded extrinsic is free of charge. */
  readonly isFree: (extrinsic: Uint8Array) => boolean
}

type Handlers = {
  readonly [A in keyof Apis]: {
    readonly [M in keyof Apis[A]]: (
      context: ApiContext,
      args: ApiArgs<Apis[A][M]>,
    ) => ApiResult<Apis[A][M]>
  }
}

const RAO = 1_000_000_000n

const HANDLERS: Handlers = {
  Core: { version: ({ runtime }) => runtime.version },
  Metadata: {
    metadata: ({ metadata }) => metadata(14),
    metadata_versions: ({ runtime }) => metadataVersions(runtime),
    metadata_at_version: ({ runtime, metadata }, { version }) => {
      const known = metadataVersions(runtime).find((candidate) => candidate === version)
      return known === undefined ? undefined : metadata(known)
    },
  },
  AccountNonceApi: {
    account_nonce: ({ state }, { account }) => state.read(System.Account, account).nonce,
  },
  TransactionPaymentApi: {
    query_info: ({ isFree }, { uxt, len }) => ({
      weight: CALL_WEIGHT,
      class: { name: 'Normal', values: [] },
      partial_fee: inclusionFee(len, isFree(uxt)).total,
    }),
    query_fee_details: ({ isFree }, { uxt, len }) => {
      const fee = inclusionFee(len, isFree(uxt))
      const parts = { base_fee: fee.base, len_fee: fee.length, adjusted_weight_fee: 0n }
      return { inclusion_fee: parts, tip: 0n }
    },
    query_weight_to_fee: () => 0n,
    query_length_to_fee: (_, { length }) => inclusionFee(length, false).length,
  },
  NeuronInfoRuntimeApi: {
    get_neurons: ({ state }, { netuid }) =>
      neuronsLite(state, netuid).map((neuron) => withEdges(state, netuid, neuron)),
    get_neuron: ({ state }, { netuid, uid }) => {
      const neuron = neuronLite(state, netuid, uid)
      return neuron === undefined ? undefined : withEdges(state, netuid, neuron)
    },
    get_neurons_lite: ({ state }, { netuid }) => neuronsLite(state, netuid),
    get_neuron_lite: ({ state }, { netuid, uid }) => neuronLite(state, netuid, uid),
  },
  SubnetInfoRuntimeApi: {
    get_subnet_hyperparams: ({ state }, { netuid }) => hyperparamsIf(state, netuid),
    get_subnet_hyperparams_v2: ({ state }, { netuid }) => hyperparamsIf(state, netuid),
    get_subnet_info_v2: ({ state }, { netuid }) => subnetInfoOf(state, netuid),
    get_subnets_info_v2: ({ state }) => netuids(state).map((netuid) => subnetInfoOf(state, netuid)),
    get_subnet_state: ({ state, block }, { netuid }) => {
      const whole = metagraphOf(state, netuid, block)
      return whole === undefined ? undefined : { ...whole, emission_history: [] }
    },
    get_next_epoch_start_block: ({ state }, { netuid }) => nextEpochStart(state, netuid),
    get_dynamic_info: ({ state }, { netuid }) => dynamicInfoOf(state, netuid),
    get_all_dynamic_info: ({ state }) =>
      netuids(state).map((netuid) => dynamicInfoOf(state, netuid)),
    get_metagraph: ({ state, block }, { netuid }) => metagraphOf(state, netuid, block),
    get_all_metagraphs: ({ state, block }) =>
      netuids(state).map((netuid) => metagraphOf(state, netuid, block)),
    get_mechagraph: ({ state, block }, { netuid, mecid }) =>
      metagraphOf(state, netuid, block, mecid),
    get_selective_metagraph: ({ state, block }, { netuid, metagraph_indexes }) => {
      const whole = metagraphOf(state, netuid, block)
      return whole === undefined ? undefined : selectFields(whole, metagraph_indexes)
    },
    get_selective_mechagraph: ({ state, block }, { netuid, subid, metagraph_indexes }) => {
      const whole = metagraphOf(state, netuid, block, subid)
      return whole === undefined ? undefined : selectFields(whole, metagraph_indexes)
    },
  },
  DelegateInfoRuntimeApi: {
    get_delegates: ({ state }) =>
      hotkeysWithOwner(state).map((hotkey) => delegateOf(state, hotkey, netuids(state))),
    get_delegate: ({ state }, { delegate_account: hotkey }) =>
      state.has(Subtensor.Owner, hotkey) ? delegateOf(state, hotkey, netuids(state)) : undefined,
    get_delegated: () => [],
  },
  StakeInfoRuntimeApi: {
    get_stake_info_for_coldkey: ({ state }, { coldkey_account }) =>
      stakesOf(state, coldkey_account, netuids(state)),
    get_stake_info_for_coldkeys: ({ state }, { coldkey_accounts }) =>
      coldkey_accounts.map((coldkey) => [coldkey, stakesOf(state, coldkey, netuids(state))]),
    get_stake_info_for_hotkey_coldkey_netuid: ({ state }, args) =>
      stakeInfoOf(state, args.hotkey_account, args.coldkey_account, args.netuid),
  },
  SwapRuntimeApi: {
    current_alpha_price: () => RAO,
    current_alpha_price_all: ({ state }) =>
      netuids(state).map((netuid) => ({ netuid, price: RAO })),
    sim_swap_tao_for_alpha: (_, { tao }) => swapAtPar(tao),
    sim_swap_alpha_for_tao: (_, { alpha }) => swapAtPar(alpha),
  },
  SubnetRegistrationRuntimeApi: {
    get_network_registration_cost: ({ state }) => state.read(Subtensor.NetworkLastLockCost),
  },
}

const hotkeysWithOwner = (state: View): AccountId[] =>
  state.lastKeys(Subtensor.Owner) as AccountId[]

const hyperparamsIf = (state: View, netuid: number) =>
  subnetExists(state, netuid) ? hyperparams(state, netuid) : undefined

function withEdges<T extends { uid: number }>(state: View, netuid: number, neuron: T) {
  return {
    ...neuron,
    weights: state.read(Subtensor.Weights, netuid, neuron.uid),
    bonds: state.read(Subtensor.Bonds, netuid, neuron.uid),
  }
}

type AnyMethod = ApiMethod<Readonly<Record<string, AnyCodec>>, unknown>
type AnyHandler = (context: ApiContext, args: Readonly<Record<string, unknown>>) => unknown

/**
 * Answers `Api_method` with its encoded result; `undefined` when this runtime has no such call.
 * @throws DevnetError DEVNET_SCALE_INVALID for arguments that do not decode
 */
export function callApi(
  context: ApiContext,
  name: string,
  data: Uint8Array,
): Uint8Array | undefined {
  const cut = name.indexOf('_')
  const api = name.slice(0, cut)
  const methodName = name.slice(cut + 1)
  const methods = (APIS as Readonly<Record<string, Readonly<Record<string, AnyMethod>>>>)[api]
  const handlers = (HANDLERS as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[api]
  const method = methods?.[methodName]
  const handler = handlers?.[methodName] as AnyHandler | undefined
  if (method === undefined || handler === undefined) return undefined
  if (!inRange(method, context.runtime.model)) return undefined
  const input = new Reader(data)
  const args = Object.fromEntries(
    Object.entries(method.inputs).map(([arg, codec]) => [arg, codec.decode(input)]),
  )
  const result = encode(method.output, handler(context, args))
  return method.opaque && context.runtime.model < 393 ? encode(bytes, result) : result
}
