import {
  type AnyCodec,
  bytes,
  type Codec,
  option,
  type StructValue,
  u8,
  u16,
  u32,
  u64,
  vec,
  wrapper,
} from '../scale/codec.js'
import { accountId, dispatchInfo, feeDetails, runtimeVersion, weight } from './frame-types.js'
import { dynamicInfo, metagraph, selectiveMetagraph } from './metagraph-types.js'
import type { Range } from './storage.js'
import {
  neuronInfo,
  neuronInfoLite,
  stakeInfo,
  subnetHyperparams,
  subnetHyperparamsV2,
} from './subtensor-types.js'

type Inputs = Readonly<Record<string, AnyCodec>>

export interface ApiMethod<A extends Inputs, R> extends Range {
  readonly inputs: A
  readonly output: Codec<R>
  /** Before spec 393 metadata called the answer `Vec<u8>`: the same SCALE value, wrapped as bytes. */
  readonly opaque: boolean
}

export type ApiArgs<M> = M extends ApiMethod<infer A, unknown> ? StructValue<A> : never
export type ApiResult<M> = M extends ApiMethod<Inputs, infer R> ? R : never

const method = <A extends Inputs, R>(
  inputs: A,
  output: Codec<R>,
  range: Range = {},
): ApiMethod<A, R> => ({ inputs, output, opaque: false, ...range })

const opaqueOnce = <A extends Inputs, R>(inputs: A, output: Codec<R>): ApiMethod<A, R> => ({
  inputs,
  output,
  opaque: true,
})

const TYPED = { since: 393 }
const opaqueMetadata = wrapper('sp_core::OpaqueMetadata', bytes)
/** The bytes of an extrinsic; what follows its length prefix is not looked into. */
export const opaqueExtrinsic = wrapper('sp_runtime::OpaqueExtrinsic', bytes)

/** The runtime APIs the node answers, by name and method. */
export const APIS = {
  Core: { version: method({}, runtimeVersion) },
  Metadata: {
    metadata: method({}, opaqueMetadata),
    metadata_at_version: method({ version: u32 }, option(opaqueMetadata)),
    metadata_versions: method({}, vec(u32)),
  },
  AccountNonceApi: { account_nonce: method({ account: accountId }, u32) },
  TransactionPaymentApi: {
    query_info: method({ uxt: opaqueExtrinsic, len: u32 }, dispatchInfo),
    query_fee_details: method({ uxt: opaqueExtrinsic, len: u32 }, feeDetails),
    query_weight_to_fee: method({ weight }, u64),
    query_length_to_fee: method({ length: u32 }, u64),
  },
  NeuronInfoRuntimeApi: {
    get_neurons: opaqueOnce({ netuid: u16 }, vec(neuronInfo)),
    get_neuron: opaqueOnce({ netuid: u16, uid: u16 }, option(neuronInfo)),
    get_neurons_lite: opaqueOnce({ netuid: u16 }, vec(neuronInfoLite)),
    get_neuron_lite: opaqueOnce({ netuid: u16, uid: u16 }, option(neuronInfoLite)),
  },
  SubnetInfoRuntimeApi: {
    get_subnet_hyperparams: opaqueOnce({ netuid: u16 }, option(subnetHyperparams)),
    get_subnet_hyperparams_v2: method({ netuid: u16 }, option(subnetHyperparamsV2), TYPED),
    get_dynamic_info: opaqueOnce({ netuid: u16 }, option(dynamicInfo)),
    get_all_dynamic_info: opaqueOnce({}, vec(option(dynamicInfo))),
    get_metagraph: method({ netuid: u16 }, option(metagraph), TYPED),
    get_all_metagraphs: method({}, vec(option(metagraph)), TYPED),
    get_mechagraph: method({ netuid: u16, mecid: u8 }, option(metagraph), TYPED),
    get_selective_metagraph: method(
      { netuid: u16, metagraph_indexes: vec(u16) },
      option(selectiveMetagraph),
      TYPED,
    ),
    get_selective_mechagraph: method(
      { netuid: u16, subid: u8, metagraph_indexes: vec(u16) },
      option(selectiveMetagraph),
      TYPED,
    ),
  },
  StakeInfoRuntimeApi: {
    get_stake_info_for_coldkey: method({ coldkey_account: accountId }, vec(stakeInfo), TYPED),
    get_stake_info_for_hotkey_coldkey_netuid: method(
      { hotkey_account: accountId, coldkey_account: accountId, netuid: u16 },
      option(stakeInfo),
      TYPED,
    ),
  },
  SwapRuntimeApi: { current_alpha_price: method({ netuid: u16 }, u64, TYPED) },
  SubnetRegistrationRuntimeApi: {
    get_network_registration_cost: method({}, u64, TYPED),
  },
}

export type Apis = typeof APIS
