import type { AccountId } from '../runtime/frame-types.js'
import type { dynamicInfo } from '../runtime/metagraph-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import type {
  delegateInfo,
  simSwapResult,
  stakeInfo,
  subnetInfoV2,
} from '../runtime/subtensor-types.js'
import type { Value } from '../scale/codec.js'
import type { View } from '../state/view.js'
import { hyperparams, subnetExists, subnetFacts, subnetName } from './metagraph.js'
import { stakeOf } from './neurons.js'

/** One subnet's market figures: alpha is worth one TAO here, for the simulator has no pool. */
export function dynamicInfoOf(state: View, netuid: number): Value<typeof dynamicInfo> | undefined {
  if (!subnetExists(state, netuid)) return undefined
  return {
    ...subnetFacts(state, netuid),
    subnet_name: subnetName(state, netuid),
    token_symbol: [...state.read(Subtensor.TokenSymbol, netuid)],
    tempo: state.read(Subtensor.Tempo, netuid),
    emission: 0n,
    subnet_identity: state.find(Subtensor.SubnetIdentitiesV3, netuid),
  }
}

/** A coldkey's stake behind one of its hotkeys in one subnet. */
export function stakeInfoOf(
  state: View,
  hotkey: AccountId,
  coldkey: AccountId,
  netuid: number,
): Value<typeof stakeInfo> {
  const owned = state.read(Subtensor.Owner, hotkey) === coldkey
  return {
    hotkey,
    coldkey,
    netuid,
    stake: owned ? stakeOf(state, hotkey, netuid) : 0n,
    locked: 0n,
    emission: 0n,
    tao_emission: 0n,
    drain: 0n,
    is_registered: state.has(Subtensor.Uids, netuid, hotkey),
  }
}

/** All stake of a coldkey, over its hotkeys and these subnets. */
export const stakesOf = (
  state: View,
  coldkey: AccountId,
  netuids: readonly number[],
): Value<typeof stakeInfo>[] =>
  state
    .read(Subtensor.StakingHotkeys, coldkey)
    .flatMap((hotkey) => netuids.map((netuid) => stakeInfoOf(state, hotkey, coldkey, netuid)))
    .filter((info) => info.stake > 0n)

/** A hotkey as its stakers see it: here its owner is the only one. */
export function delegateOf(
  state: View,
  hotkey: AccountId,
  netuids: readonly number[],
): Value<typeof delegateInfo> {
  const owner = state.read(Subtensor.Owner, hotkey)
  const registrations = netuids.filter((netuid) => state.has(Subtensor.Uids, netuid, hotkey))
  const stakes = registrations.map((netuid): [number, bigint] => [
    netuid,
    stakeOf(state, hotkey, netuid),
  ])
  return {
    delegate_ss58: hotkey,
    take: state.read(Subtensor.Delegates, hotkey),
    nominators: [[owner, stakes]],
    owner_ss58: owner,
    registrations,
    validator_permits: registrations.filter((netuid) => {
      const uid = state.find(Subtensor.Uids, netuid, hotkey) ?? 0
      return state.read(Subtensor.ValidatorPermit, netuid)[uid] === true
    }),
    return_per_1000: 0n,
    total_daily_return: 0n,
  }
}

/** One subnet's older summary. */
export function subnetInfoOf(state: View, netuid: number): Value<typeof subnetInfoV2> | undefined {
  if (!subnetExists(state, netuid)) return undefined
  const params = hyperparams(state, netuid)
  return {
    netuid,
    rho: params.rho,
    kappa: params.kappa,
    difficulty: params.difficulty,
    immunity_period: params.immunity_period,
    max_allowed_validators: params.max_validators,
    min_allowed_weights: params.min_allowed_weights,
    max_weights_limit: params.max_weights_limit,
    scaling_law_power: 50,
    subnetwork_n: state.read(Subtensor.SubnetworkN, netuid),
    max_allowed_uids: state.read(Subtensor.MaxAllowedUids, netuid),
    blocks_since_last_step: state.read(Subtensor.BlocksSinceLastStep, netuid),
    tempo: params.tempo,
    network_modality: 0,
    network_connect: [],
    emission_value: 0n,
    burn: state.read(Subtensor.Burn, netuid),
    owner: state.read(Subtensor.SubnetOwner, netuid),
    identity: state.find(Subtensor.SubnetIdentitiesV3, netuid),
  }
}

/** A swap without a pool: one for one, no fee, no slippage. */
export const swapAtPar = (amount: bigint): Value<typeof simSwapResult> => ({
  tao_amount: amount,
  alpha_amount: amount,
  tao_fee: 0n,
  alpha_fee: 0n,
  tao_slippage: 0n,
  alpha_slippage: 0n,
})
