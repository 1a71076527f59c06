import {
  bool,
  bytes,
  compact,
  compactBig,
  i64,
  i128,
  option,
  struct,
  tuple,
  u8,
  u16,
  u32,
  u64,
  u128,
  vec,
} from '../scale/codec.js'
import { type AccountId, accountId, boundedBytes } from './frame-types.js'

export const u16c = compact(u16)
export const u64c = compactBig(u64)

/** Fixed point numbers are given as their raw bits. */
export const fixedI128 = struct('substrate_fixed::FixedI128', { bits: i128 })
export const fixedU128Bits = struct('substrate_fixed::FixedU128', { bits: u128 })
const fixedI64 = struct('substrate_fixed::FixedI64', { bits: i64 })

export const axonInfo = struct('pallet_subtensor::pallet::AxonInfo', {
  block: u64,
  version: u32,
  ip: u128,
  port: u16,
  ip_type: u8,
  protocol: u8,
  placeholder1: u8,
  placeholder2: u8,
})

export const prometheusInfo = struct('pallet_subtensor::pallet::PrometheusInfo', {
  block: u64,
  version: u32,
  ip: u128,
  port: u16,
  ip_type: u8,
})

export const neuronCertificate = struct('pallet_subtensor::pallet::NeuronCertificate', {
  public_key: boundedBytes,
  algorithm: u8,
})

export const chainIdentity = struct('pallet_subtensor::pallet::ChainIdentityV2', {
  name: bytes,
  url: bytes,
  github_repo: bytes,
  image: bytes,
  discord: bytes,
  description: bytes,
  additional: bytes,
})

export const subnetIdentity = struct('pallet_subtensor::pallet::SubnetIdentityV3', {
  subnet_name: bytes,
  github_repo: bytes,
  subnet_contact: bytes,
  subnet_url: bytes,
  discord: bytes,
  description: bytes,
  logo_url: bytes,
  additional: bytes,
})

export const stakeList = vec(tuple<[AccountId, bigint]>(accountId, u64c))
const pairList = vec(tuple<[number, number]>(u16c, u16c))

const neuronHead = {
  hotkey: accountId,
  coldkey: accountId,
  uid: u16c,
  netuid: u16c,
  active: bool,
  axon_info: axonInfo,
  prometheus_info: prometheusInfo,
  stake: stakeList,
  rank: u16c,
  emission: u64c,
  incentive: u16c,
  consensus: u16c,
  trust: u16c,
  validator_trust: u16c,
  dividends: u16c,
  last_update: u64c,
  validator_permit: bool,
}

export const neuronInfoLite = struct('pallet_subtensor::rpc_info::neuron_info::NeuronInfoLite', {
  ...neuronHead,
  pruning_score: u16c,
})

export const neuronInfo = struct('pallet_subtensor::rpc_info::neuron_info::NeuronInfo', {
  ...neuronHead,
  weights: pairList,
  bonds: pairList,
  pruning_score: u16c,
})

const hyperparamsBase = {
  rho: u16c,
  kappa: u16c,
  immunity_period: u16c,
  min_allowed_weights: u16c,
  max_weights_limit: u16c,
  tempo: u16c,
  min_difficulty: u64c,
  max_difficulty: u64c,
  weights_version: u64c,
  weights_rate_limit: u64c,
  adjustment_interval: u16c,
  activity_cutoff: u16c,
  registration_allowed: bool,
  target_regs_per_interval: u16c,
  min_burn: u64c,
  max_burn: u64c,
  bonds_moving_avg: u64c,
  max_regs_per_block: u16c,
  serving_rate_limit: u64c,
  max_validators: u16c,
  adjustment_alpha: u64c,
  difficulty: u64c,
  commit_reveal_period: u64c,
  commit_reveal_weights_enabled: bool,
  alpha_high: u16c,
  alpha_low: u16c,
  liquid_alpha_enabled: bool,
}

export const subnetHyperparams = struct(
  'pallet_subtensor::rpc_info::subnet_info::SubnetHyperparams',
  hyperparamsBase,
)

export const subnetHyperparamsV2 = struct(
  'pallet_subtensor::rpc_info::subnet_info::SubnetHyperparamsV2',
  {
    ...hyperparamsBase,
    alpha_sigmoid_steepness: fixedI64,
    yuma_version: u16c,
    subnet_is_active: bool,
    transfers_enabled: bool,
    bonds_reset_enabled: bool,
    user_liquidity_enabled: bool,
  },
)

export const stakeInfo = struct('pallet_subtensor::rpc_info::stake_info::StakeInfo', {
  hotkey: accountId,
  coldkey: accountId,
  netuid: u16c,
  stake: u64c,
  locked: u64c,
  emission: u64c,
  tao_emission: u64c,
  drain: u64c,
  is_registered: bool,
})

export const u16List = vec(u16c)
const u64List = vec(u64c)

/** What is told of every neuron, by uid; a metagraph and a subnet's state both end in it. */
export const neuronLists = {
  active: vec(bool),
  validator_permit: vec(bool),
  pruning_score: u16List,
  last_update: u64List,
  emission: u64List,
  dividends: u16List,
  incentives: u16List,
  consensus: u16List,
  trust: u16List,
  rank: u16List,
  block_at_registration: u64List,
  alpha_stake: u64List,
  tao_stake: u64List,
  total_stake: u64List,
}

export const subnetState = struct('pallet_subtensor::rpc_info::show_subnet::SubnetState', {
  netuid: u16c,
  hotkeys: vec(accountId),
  coldkeys: vec(accountId),
  ...neuronLists,
  emission_history: vec(u64List),
})

export const delegateInfo = struct('pallet_subtensor::rpc_info::delegate_info::DelegateInfo', {
  delegate_ss58: accountId,
  take: u16c,
  nominators: vec(
    tuple<[AccountId, [number, bigint][]]>(accountId, vec(tuple<[number, bigint]>(u16c, u64c))),
  ),
  owner_ss58: accountId,
  registrations: u16List,
  validator_permits: u16List,
  return_per_1000: u64c,
  total_daily_return: u64c,
})

const subnetInfoFields = {
  netuid: u16c,
  rho: u16c,
  kappa: u16c,
  difficulty: u64c,
  immunity_period: u16c,
  max_allowed_validators: u16c,
  min_allowed_weights: u16c,
  max_weights_limit: u16c,
  scaling_law_power: u16c,
  subnetwork_n: u16c,
  max_allowed_uids: u16c,
  blocks_since_last_step: u64c,
  tempo: u16c,
  network_modality: u16c,
  network_connect: vec(tuple<[number, number]>(u16, u16)),
}

export const subnetInfoV2 = struct('pallet_subtensor::rpc_info::subnet_info::SubnetInfov2', {
  ...subnetInfoFields,
  emission_value: u64c,
  burn: u64c,
  owner: accountId,
  identity: option(subnetIdentity),
})

export const subnetPrice = struct('pallet_subtensor_swap_runtime_api::SubnetPrice', {
  netuid: u16,
  price: u64,
})

export const simSwapResult = struct('pallet_subtensor_swap_runtime_api::SimSwapResult', {
  tao_amount: u64,
  alpha_amount: u64,
  tao_fee: u64,
  alpha_fee: u64,
  tao_slippage: u64,
  alpha_slippage: u64,
})
