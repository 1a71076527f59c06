import type { AccountId } from '../runtime/frame-types.js'
import type { dynamicInfo } from '../runtime/metagraph-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import type { stakeInfo } from '../runtime/subtensor-types.js'
import type { Value } from '../scale/codec.js'
import type { View } from '../state/view.js'
import { subnetExists, subnetName } from './metagraph.js'
import { stakeOf } from './neurons.js'

/** One subnet's market figures: alpha is worth one TAO here, for the simulator has no pool. */
export function dynamicInfoOf(state: View, netuid: number): Value<typeof dynamicInfo> | undefined {
  if (!subnetExists(state, netuid)) return undefined
  const of = Subtensor
  return {
    netuid,
    owner_hotkey: state.read(of.SubnetOwnerHotkey, netuid),
    owner_coldkey: state.read(of.SubnetOwner, netuid),
    subnet_name: subnetName(state, netuid),
    token_symbol: [...state.read(of.TokenSymbol, netuid)],
    tempo: state.read(of.Tempo, netuid),
    last_step: state.read(of.LastMechansimStepBlock, netuid),
    blocks_since_last_step: state.read(of.BlocksSinceLastStep, netuid),
    emission: 0n,
    alpha_in: state.read(of.SubnetAlphaIn, netuid),
    alpha_out: state.read(of.SubnetAlphaOut, netuid),
    tao_in: state.read(of.SubnetTAO, netuid),
    alpha_out_emission: state.read(of.SubnetAlphaOutEmission, netuid),
    alpha_in_emission: state.read(of.SubnetAlphaInEmission, netuid),
    tao_in_emission: state.read(of.SubnetTaoInEmission, netuid),
    pending_alpha_emission: state.read(of.PendingServerEmission, netuid),
    pending_root_emission: 0n,
    subnet_volume: state.read(of.SubnetVolume, netuid),
    network_registered_at: state.read(of.NetworkRegisteredAt, netuid),
    subnet_identity: state.find(of.SubnetIdentitiesV3, netuid),
    moving_price: state.read(of.SubnetMovingPrice, netuid),
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
