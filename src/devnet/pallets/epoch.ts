import type { AccountId } from '../runtime/frame-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import type { View } from '../state/view.js'
import type { Context } from './context.js'
import { mechanismIndexes, setStake, stakeOf } from './neurons.js'
import { type Matrix, normalise, type YumaOutput, yuma } from './yuma.js'

const U16_MAX = 65_535
const BONDS_SCALE = 1_000_000
/** Alpha that a subnet pays out for each block, in rao. */
const ALPHA_PER_BLOCK = 1_000_000_000n
/** The owner keeps 18 %; miners and validators halve the rest. */
const OWNER_CUT = 11_796 / U16_MAX

const toU16 = (share: number): number => Math.min(U16_MAX, Math.round(share * U16_MAX))

function maxUpscaled(values: readonly number[]): number[] {
  const max = Math.max(0, ...values)
  return values.map((value) => (max === 0 ? 0 : toU16(value / max)))
}

interface Subnet {
  readonly netuid: number
  readonly hotkeys: readonly AccountId[]
  readonly stake: readonly bigint[]
  readonly active: readonly boolean[]
  readonly permits: readonly boolean[]
}

function readSubnet({ state, block }: Context, netuid: number): Subnet {
  const n = state.read(Subtensor.SubnetworkN, netuid)
  const hotkeys = Array.from({ length: n }, (_, uid) => state.read(Subtensor.Keys, netuid, uid))
  const cutoff = BigInt(state.read(Subtensor.ActivityCutoff, netuid))
  const updates = state.read(Subtensor.LastUpdate, netuid)
  return {
    netuid,
    hotkeys,
    stake: hotkeys.map((hotkey) => stakeOf(state, hotkey, netuid)),
    active: hotkeys.map((_, uid) => (updates[uid] ?? 0n) + cutoff >= BigInt(block)),
    permits: hotkeys.map((_, uid) => state.read(Subtensor.ValidatorPermit, netuid)[uid] ?? false),
  }
}

/**
 * Weights that count: of permitted validators, about others than themselves, set after the neuron
 * they are about was registered.
 */
function countedWeights(state: View, subnet: Subnet, index: number): Matrix {
  const { netuid, hotkeys, permits } = subnet
  const updates = state.read(Subtensor.LastUpdate, index)
  const since = hotkeys.map((_, uid) => state.read(Subtensor.BlockAtRegistration, netuid, uid))
  const owner = state.read(Subtensor.SubnetOwnerHotkey, netuid)
  return hotkeys.map((hotkey, uid) => {
    const row = hotkeys.map(() => 0)
    if (!permits[uid] && hotkey !== owner) return row
    for (const [to, weight] of state.read(Subtensor.Weights, index, uid)) {
      const outdated = (updates[uid] ?? 0n) < (since[to] ?? 0n)
      if (to < row.length && !outdated && (to !== uid || hotkey === owner)) row[to] = weight
    }
    return row
  })
}

function runMechanism({ state }: Context, subnet: Subnet, index: number): YumaOutput {
  const { netuid, hotkeys, stake, active, permits } = subnet
  const n = hotkeys.length
  const counted = stake.map((own, uid) => (active[uid] && permits[uid] ? Number(own) : 0))
  const old = hotkeys.map((_, uid) => {
    const row = new Array<number>(n).fill(0)
    for (const [to, bond] of state.read(Subtensor.Bonds, index, uid)) row[to] = bond
    return row
  })
  const movingAverage = Number(state.read(Subtensor.BondsMovingAverage, netuid)) / BONDS_SCALE
  const hadBonds = old.some((row) => row.some((bond) => bond > 0))
  const result = yuma({
    weights: countedWeights(state, subnet, index),
    stake: counted,
    kappa: state.read(Subtensor.Kappa, netuid) / U16_MAX,
    bondsAlpha: 1 - movingAverage,
    bondsPenalty: state.read(Subtensor.BondsPenalty, netuid) / U16_MAX,
    ...(hadBonds ? { bonds: old } : {}),
  })
  state.write(Subtensor.Incentive, [index], result.incentive.map(toU16))
  result.bonds.forEach((row, uid) => {
    const sparse = row.flatMap((bond, to): [number, number][] =>
      toU16(bond) > 0 ? [[to, toU16(bond)]] : [],
    )
    if (sparse.length > 0) state.write(Subtensor.Bonds, [index, uid], sparse)
    else if (state.has(Subtensor.Bonds, index, uid)) state.remove(Subtensor.Bonds, index, uid)
  })
  return result
}

/** The `limit` neurons with the most stake, none of them without any. */
function newPermits(stake: readonly bigint[], limit: number, threshold: bigint): boolean[] {
  const ranked = stake
    .map((own, uid) => ({ own, uid }))
    .filter(({ own }) => own > 0n && own >= threshold)
    .sort((a, b) => (b.own > a.own ? 1 : b.own < a.own ? -1 : a.uid - b.uid))
    .slice(0, limit)
  const chosen = new Set(ranked.map(({ uid }) => uid))
  return stake.map((_, uid) => chosen.has(uid))
}

const average = (lists: readonly (readonly number[])[], n: number): number[] =>
  Array.from({ length: n }, (_, i) =>
    lists.reduce((total, list) => total + (list[i] ?? 0) / lists.length, 0),
  )

/** Runs a subnet's epoch over `blocks` blocks: consensus, permits, and what everybody earned. */
export function runEpoch(context: Context, netuid: number, blocks: bigint): void {
  const { state } = context
  const subnet = readSubnet(context, netuid)
  const { hotkeys, stake } = subnet
  const n = hotkeys.length
  if (n === 0) return
  const indexes = mechanismIndexes(state, netuid)
  const results = indexes.map((index) => runMechanism(context, subnet, index))
  const [main] = results
  if (main === undefined) return
  const incentive = average(
    results.map((result) => result.incentive),
    n,
  )
  const dividends = average(
    results.map((result) => result.dividends),
    n,
  )
  const permits = newPermits(
    stake,
    state.read(Subtensor.MaxAllowedValidators, netuid),
    state.read(Subtensor.StakeThreshold),
  )
  const of = Subtensor
  state.write(of.ValidatorPermit, [netuid], permits)
  state.write(of.Active, [netuid], [...subnet.active])
  state.write(of.Consensus, [netuid], main.consensus.map(toU16))
  state.write(of.Rank, [netuid], normalise(main.rank).map(toU16))
  state.write(of.Trust, [netuid], main.trust.map(toU16))
  state.write(of.ValidatorTrust, [netuid], main.validatorTrust.map(toU16))
  state.write(of.Dividends, [netuid], dividends.map(toU16))
  state.write(of.PruningScores, [netuid], maxUpscaled(incentive))
  state.write(of.StakeWeight, [netuid], maxUpscaled(stake.map(Number)))
  pay(state, subnet, incentive, dividends, ALPHA_PER_BLOCK * blocks)
}

/** Adds what was earned to the stake of each hotkey and notes it as the epoch's emission. */
function pay(
  state: View,
  subnet: Subnet,
  incentive: readonly number[],
  dividends: readonly number[],
  alpha: bigint,
): void {
  const { netuid, hotkeys } = subnet
  const half = (Number(alpha) * (1 - OWNER_CUT)) / 2
  const emission = hotkeys.map((_, uid) => {
    const share = (incentive[uid] ?? 0) + (dividends[uid] ?? 0)
    return BigInt(Math.floor(share * half))
  })
  state.write(Subtensor.Emission, [netuid], emission)
  hotkeys.forEach((hotkey, uid) => {
    const earned = emission[uid] ?? 0n
    if (earned === 0n) return
    setStake(state, hotkey, netuid, stakeOf(state, hotkey, netuid) + earned)
    const dividend = BigInt(Math.floor((dividends[uid] ?? 0) * half))
    state.write(Subtensor.AlphaDividendsPerSubnet, [netuid, hotkey], dividend)
  })
}
