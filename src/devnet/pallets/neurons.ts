import type { AccountId } from '../runtime/frame-types.js'
import type { StorageEntry } from '../runtime/storage.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import type { View } from '../state/view.js'

/** Weights, bonds, last updates and commits of a mechanism are kept under this number. */
export const mechanismIndex = (netuid: number, mechanism: number): number =>
  mechanism * 4096 + netuid

/** The storage indexes of all mechanisms of a subnet. */
export const mechanismIndexes = (state: View, netuid: number): number[] =>
  Array.from({ length: state.read(Subtensor.MechanismCountCurrent, netuid) }, (_, mechanism) =>
    mechanismIndex(netuid, mechanism),
  )

type NeuronList<V> = StorageEntry<[number], V[]>

function setAt<V>(state: View, list: NeuronList<V>, index: number, uid: number, value: V): void {
  const values = [...state.read(list, index)]
  values[uid] = value
  state.write(list, [index], values)
}

export const setLastUpdate = (state: View, index: number, uid: number, block: number): void =>
  setAt(state, Subtensor.LastUpdate, index, uid, BigInt(block))

/** Total stake weight of a hotkey in a subnet: its alpha. The simulator has no root stake. */
export const stakeOf = (state: View, hotkey: AccountId, netuid: number): bigint =>
  state.read(Subtensor.TotalHotkeyAlpha, hotkey, netuid)

/** Gives a hotkey alpha in a subnet, as staking would have. */
export function setStake(state: View, hotkey: AccountId, netuid: number, alpha: bigint): void {
  const before = stakeOf(state, hotkey, netuid)
  state.write(Subtensor.TotalHotkeyAlpha, [hotkey, netuid], alpha)
  state.write(Subtensor.TotalHotkeyShares, [hotkey, netuid], { bits: alpha << 64n })
  const out = state.read(Subtensor.SubnetAlphaOut, netuid)
  state.write(Subtensor.SubnetAlphaOut, [netuid], out + alpha - before)
}

/** Binds a hotkey to a coldkey the first time either is seen together. */
export function associate(state: View, coldkey: AccountId, hotkey: AccountId): void {
  if (state.has(Subtensor.Owner, hotkey)) return
  state.write(Subtensor.Owner, [hotkey], coldkey)
  for (const list of [Subtensor.OwnedHotkeys, Subtensor.StakingHotkeys]) {
    const owned = state.read(list, coldkey)
    if (!owned.includes(hotkey)) state.write(list, [coldkey], [...owned, hotkey])
  }
}

/** Puts a hotkey on a uid: a new one at the end, or one whose neuron is pushed out. */
export function placeNeuron(
  state: View,
  netuid: number,
  uid: number,
  hotkey: AccountId,
  block: number,
): void {
  const n = state.read(Subtensor.SubnetworkN, netuid)
  if (uid < n) removeNeuron(state, netuid, uid)
  else state.write(Subtensor.SubnetworkN, [netuid], n + 1)
  state.write(Subtensor.Keys, [netuid, uid], hotkey)
  state.write(Subtensor.Uids, [netuid, hotkey], uid)
  state.write(Subtensor.IsNetworkMember, [hotkey, netuid], true)
  state.write(Subtensor.BlockAtRegistration, [netuid, uid], BigInt(block))
  setAt(state, Subtensor.Active, netuid, uid, true)
  setAt(state, Subtensor.ValidatorPermit, netuid, uid, false)
  setAt(state, Subtensor.Emission, netuid, uid, 0n)
  for (const list of [
    Subtensor.Rank,
    Subtensor.Trust,
    Subtensor.Consensus,
    Subtensor.Dividends,
    Subtensor.ValidatorTrust,
    Subtensor.PruningScores,
    Subtensor.StakeWeight,
  ]) {
    setAt(state, list, netuid, uid, 0)
  }
  for (const index of mechanismIndexes(state, netuid)) {
    setAt(state, Subtensor.Incentive, index, uid, 0)
    setLastUpdate(state, index, uid, block)
  }
}

function removeNeuron(state: View, netuid: number, uid: number): void {
  const hotkey = state.read(Subtensor.Keys, netuid, uid)
  state.remove(Subtensor.Uids, netuid, hotkey)
  state.remove(Subtensor.IsNetworkMember, hotkey, netuid)
  state.remove(Subtensor.Axons, netuid, hotkey)
  state.remove(Subtensor.NeuronCertificates, netuid, hotkey)
  state.remove(Subtensor.Prometheus, netuid, hotkey)
  for (const index of mechanismIndexes(state, netuid)) {
    state.remove(Subtensor.Weights, index, uid)
    state.remove(Subtensor.Bonds, index, uid)
    for (const from of state.lastKeys(Subtensor.Weights, index) as number[]) {
      const row = state.read(Subtensor.Weights, index, from)
      if (!row.some(([to]) => to === uid)) continue
      const cleared = row.map(([to, w]): [number, number] => (to === uid ? [to, 0] : [to, w]))
      state.write(Subtensor.Weights, [index, from], cleared)
    }
  }
}

/**
 * The uid to give up in a full subnet: out of its immunity period, lowest emission, oldest first;
 * the subnet owner's hotkey is never chosen.
 */
export function neuronToPrune(state: View, netuid: number, block: number): number | undefined {
  const immunity = state.read(Subtensor.ImmunityPeriod, netuid)
  const owner = state.read(Subtensor.SubnetOwnerHotkey, netuid)
  const emission = state.read(Subtensor.Emission, netuid)
  let best: { uid: number; emission: bigint; since: bigint } | undefined
  for (let uid = 0; uid < state.read(Subtensor.SubnetworkN, netuid); uid += 1) {
    const since = state.read(Subtensor.BlockAtRegistration, netuid, uid)
    if (block - Number(since) < immunity) continue
    if (state.read(Subtensor.Keys, netuid, uid) === owner) continue
    const own = emission[uid] ?? 0n
    const worse =
      best === undefined || own < best.emission || (own === best.emission && since < best.since)
    if (worse) best = { uid, emission: own, since }
  }
  return best?.uid
}
