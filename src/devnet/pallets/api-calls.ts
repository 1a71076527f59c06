import { CALL_WEIGHT, inclusionFee } from '../fees.js'
import { type MetadataVersion, metadataVersions } from '../metadata/metadata.js'
import { APIS, type ApiArgs, type ApiMethod, type ApiResult, type Apis } from '../runtime/apis.js'
import type { Runtime } from '../runtime/runtime.js'
import { inRange } from '../runtime/storage.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { System } from '../runtime/system.js'
import { Reader } from '../scale/bytes.js'
import { type AnyCodec, bytes, encode } from '../scale/codec.js'
import type { View } from '../state/view.js'
import { dynamicInfoOf, stakeInfoOf } from './dynamic.js'
import {
  hyperparams,
  metagraphOf,
  netuids,
  neuronLite,
  neuronsLite,
  selectFields,
  subnetExists,
} from './metagraph.js'

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
  StakeInfoRuntimeApi: {
    get_stake_info_for_coldkey: ({ state }, { coldkey_account }) =>
      state
        .read(Subtensor.StakingHotkeys, coldkey_account)
        .flatMap((hotkey) =>
          netuids(state).map((netuid) => stakeInfoOf(state, hotkey, coldkey_account, netuid)),
        )
        .filter((info) => info.stake > 0n),
    get_stake_info_for_hotkey_coldkey_netuid: ({ state }, args) =>
      stakeInfoOf(state, args.hotkey_account, args.coldkey_account, args.netuid),
  },
  SwapRuntimeApi: { current_alpha_price: () => RAO },
  SubnetRegistrationRuntimeApi: {
    get_network_registration_cost: ({ state }) => state.read(Subtensor.NetworkLastLockCost),
  },
}

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
