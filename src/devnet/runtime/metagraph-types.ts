import {
  bool,
  type Codec,
  compact,
  compactBig,
  option,
  type StructValue,
  struct,
  tuple,
  u8,
  u128,
  vec,
} from '../scale/codec.js'
import { type AccountId, accountId } from './frame-types.js'
import {
  axonInfo,
  chainIdentity,
  fixedI128,
  neuronLists,
  stakeList,
  subnetIdentity,
  u16c,
  u16List,
  u64c,
} from './subtensor-types.js'

/** UTF-8 bytes, each in compact form: how the runtime sends names. */
const nameBytes = vec(compact(u8))

/** What a metagraph and `DynamicInfo` both tell of the subnet's pool and emission. */
const marketFields = {
  alpha_in: u64c,
  alpha_out: u64c,
  tao_in: u64c,
  alpha_out_emission: u64c,
  alpha_in_emission: u64c,
  tao_in_emission: u64c,
  pending_alpha_emission: u64c,
  pending_root_emission: u64c,
  subnet_volume: compactBig(u128),
}

const metagraphFields = {
  netuid: u16c,
  name: nameBytes,
  symbol: nameBytes,
  identity: option(subnetIdentity),
  network_registered_at: u64c,
  owner_hotkey: accountId,
  owner_coldkey: accountId,
  block: u64c,
  tempo: u16c,
  last_step: u64c,
  blocks_since_last_step: u64c,
  subnet_emission: u64c,
  ...marketFields,
  moving_price: fixedI128,
  rho: u16c,
  kappa: u16c,
  min_allowed_weights: u16c,
  max_weights_limit: u16c,
  weights_version: u64c,
  weights_rate_limit: u64c,
  activity_cutoff: u16c,
  max_validators: u16c,
  num_uids: u16c,
  max_uids: u16c,
  burn: u64c,
  difficulty: u64c,
  registration_allowed: bool,
  pow_registration_allowed: bool,
  immunity_period: u16c,
  min_difficulty: u64c,
  max_difficulty: u64c,
  min_burn: u64c,
  max_burn: u64c,
  adjustment_alpha: u64c,
  adjustment_interval: u16c,
  target_regs_per_interval: u16c,
  max_regs_per_block: u16c,
  serving_rate_limit: u64c,
  commit_reveal_weights_enabled: bool,
  commit_reveal_period: u64c,
  liquid_alpha_enabled: bool,
  alpha_high: u16c,
  alpha_low: u16c,
  bonds_moving_avg: u64c,
  hotkeys: vec(accountId),
  coldkeys: vec(accountId),
  identities: vec(option(chainIdentity)),
  axons: vec(axonInfo),
  ...neuronLists,
  tao_dividends_per_hotkey: stakeList,
  alpha_dividends_per_hotkey: stakeList,
}

export const metagraph = struct('pallet_subtensor::rpc_info::metagraph::Metagraph', metagraphFields)
export type MetagraphValue = StructValue<typeof metagraphFields>

/** `Option<Option<T>>`: the outer absence is `undefined`, the inner one an empty list. */
function optionalOption<T>(inner: Codec<T | undefined>): Codec<readonly T[] | undefined> {
  const boxed: Codec<readonly T[]> = {
    shape: inner.shape,
    minBytes: 1,
    encode: (value, out) => inner.encode(value[0], out),
    decode: (input) => {
      const value = inner.decode(input)
      return value === undefined ? [] : [value]
    },
  }
  return option(boxed)
}

const selectiveFields: Readonly<Record<string, Codec<unknown>>> = {
  ...Object.fromEntries(
    Object.entries(metagraphFields).map(([name, codec]) => [name, option(codec as Codec<unknown>)]),
  ),
  netuid: metagraphFields.netuid,
  identity: optionalOption(metagraphFields.identity),
  validators: option(u16List),
  commitments: option(vec(tuple<[AccountId, number[]]>(accountId, nameBytes))),
}

/** A caller asks for a field by its place in this list. */
export const SELECTIVE_NAMES: readonly string[] = Object.keys(selectiveFields)

export const selectiveMetagraph = struct(
  'pallet_subtensor::rpc_info::metagraph::SelectiveMetagraph',
  selectiveFields,
)

export const dynamicInfo = struct('pallet_subtensor::rpc_info::dynamic_info::DynamicInfo', {
  netuid: u16c,
  owner_hotkey: accountId,
  owner_coldkey: accountId,
  subnet_name: nameBytes,
  token_symbol: nameBytes,
  tempo: u16c,
  last_step: u64c,
  blocks_since_last_step: u64c,
  emission: u64c,
  ...marketFields,
  network_registered_at: u64c,
  subnet_identity: option(subnetIdentity),
  moving_price: fixedI128,
})
