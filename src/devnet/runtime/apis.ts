import {
  type AnyCodec,
  bytes,
  type Codec,
  option,
  type StructValue,
  tuple,
  u8,
  u16,
  u32,
  u64,
  type Value,
  vec,
  wrapper,
} from '../scale/codec.js'
import {
  type AccountId,
  accountId,
  dispatchInfo,
  feeDetails,
  runtimeVersion,
  weight,
} from './frame-types.js'
import { dynamicInfo, metagraph, selectiveMetagraph } from './metagraph-types.js'
import type { Range } from './storage.js'
import {
  delegateInfo,
  neuronInfo,
  neuronInfoLite,
  simSwapResult,
  stakeInfo,
  subnetHyperparams,
  subnetHyperparamsV2,
  subnetInfoV2,
  subnetPrice,
  subnetState,
  u16c,
  u64c,
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
const STATEFUL = { since: 425 }
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
    get_subnet_info_v2: opaqueOnce({ netuid: u16 }, option(subnetInfoV2)),
    get_subnets_info_v2: opaqueOnce({}, vec(option(subnetInfoV2))),
    get_subnet_state: opaqueOnce({ netuid: u16 }, option(subnetState)),
    get_next_epoch_start_block: method({ netuid: u16 }, option(u64), STATEFUL),
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
  DelegateInfoRuntimeApi: {
    get_delegates: method({}, vec(delegateInfo), TYPED),
    get_delegate: method({ delegate_account: accountId }, option(delegateInfo), TYPED),
    get_delegated: method(
      { delegatee_account: accountId },
      vec(
        tuple<[Value<typeof delegateInfo>, [number, bigint]]>(
          delegateInfo,
          tuple<[number, bigint]>(u16c, u64c),
        ),
      ),
      TYPED,
    ),
  },
  StakeInfoRuntimeApi: {
    get_stake_info_for_coldkey: method({ coldkey_account: accountId }, vec(stakeInfo), TYPED),
    get_stake_info_for_coldkeys: method(
      { coldkey_accounts: vec(accountId) },
      vec(tuple<[AccountId, Value<typeof stakeInfo>[]]>(accountId, vec(stakeInfo))),
      TYPED,
    ),
    get_stake_info_for_hotkey_coldkey_netuid: method(
      { hotkey_account: accountId, coldkey_account: accountId, netuid: u16 },
      option(stakeInfo),
      TYPED,
    ),
  },
  SwapRuntimeApi: {
    current_alpha_price: method({ netuid: u16 }, u64, TYPED),
    current_alpha_price_all: method({}, vec(subnetPrice), TYPED),
    sim_swap_tao_for_alpha: method({ netuid: u16, tao: u64 }, simSwapResult, TYPED),
    sim_swap_alpha_for_tao: method({ netuid: u16, alpha: u64 }, simSwapResult, TYPED),
  },
  SubnetRegistrationRuntimeApi: {
    get_network_registration_cost: method({}, u64, TYPED),
  },
}

export type Apis = typeof APIS
