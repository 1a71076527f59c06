import type { AccountId } from '../runtime/frame-types.js'
import { type MetagraphValue, SELECTIVE_NAMES } from '../runtime/metagraph-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import type { neuronInfoLite, subnetHyperparamsV2 } from '../runtime/subtensor-types.js'
import type { Value } from '../scale/codec.js'
import type { View } from '../state/view.js'
import { mechanismIndex, stakeOf } from './neurons.js'

const EMPTY_AXON = {
  block: 0n,
  version: 0,
  ip: 0n,
  port: 0,
  ip_type: 0,
  protocol: 0,
  placeholder1: 0,
  placeholder2: 0,
}
const EMPTY_PROMETHEUS = { block: 0n, version: 0, ip: 0n, port: 0, ip_type: 0 }

const fill = <T>(list: readonly T[], length: number, empty: T): T[] =>
  Array.from({ length }, (_, i) => list[i] ?? empty)

const hotkeysOf = (state: View, netuid: number): AccountId[] =>
  Array.from({ length: state.read(Subtensor.SubnetworkN, netuid) }, (_, uid) =>
    state.read(Subtensor.Keys, netuid, uid),
  )

export const subnetExists = (state: View, netuid: number): boolean =>
  state.read(Subtensor.NetworksAdded, netuid)

/** Netuids of all subnets, rising. */
export const netuids = (state: View): number[] =>
  (state.lastKeys(Subtensor.NetworksAdded) as number[]).sort((a, b) => a - b)

const textBytes = (text: string): number[] => [...Buffer.from(text, 'utf8')]

export const subnetName = (state: View, netuid: number): number[] => {
  const identity = state.find(Subtensor.SubnetIdentitiesV3, netuid)
  return identity === undefined ? textBytes('devnet') : [...identity.subnet_name]
}

/** What get_subnet_hyperparams_v2 answers; the older answer is its first part. */
export function hyperparams(state: View, netuid: number): Value<typeof subnetHyperparamsV2> {
  const of = Subtensor
  const [alphaLow, alphaHigh] = state.read(of.AlphaValues, netuid)
  return {
    rho: state.read(of.Rho, netuid),
    kappa: state.read(of.Kappa, netuid),
    immunity_period: state.read(of.ImmunityPeriod, netuid),
    min_allowed_weights: state.read(of.MinAllowedWeights, netuid),
    max_weights_limit: state.read(of.MaxWeightsLimit, netuid),
    tempo: state.read(of.Tempo, netuid),
    min_difficulty: state.read(of.MinDifficulty, netuid),
    max_difficulty: state.read(of.MaxDifficulty, netuid),
    weights_version: state.read(of.WeightsVersionKey, netuid),
    weights_rate_limit: state.read(of.WeightsSetRateLimit, netuid),
    adjustment_interval: state.read(of.AdjustmentInterval, netuid),
    activity_cutoff: state.read(of.ActivityCutoff, netuid),
    registration_allowed: state.read(of.NetworkRegistrationAllowed, netuid),
    target_regs_per_interval: state.read(of.TargetRegistrationsPerInterval, netuid),
    min_burn: state.read(of.MinBurn, netuid),
    max_burn: state.read(of.MaxBurn, netuid),
    bonds_moving_avg: state.read(of.BondsMovingAverage, netuid),
    max_regs_per_block: state.read(of.MaxRegistrationsPerBlock, netuid),
    serving_rate_limit: state.read(of.ServingRateLimit, netuid),
    max_validators: state.read(of.MaxAllowedValidators, netuid),
    adjustment_alpha: state.read(of.AdjustmentAlpha, netuid),
    difficulty: state.read(of.Difficulty, netuid),
    commit_reveal_period: state.read(of.RevealPeriodEpochs, netuid),
    commit_reveal_weights_enabled: state.read(of.CommitRevealWeightsEnabled, netuid),
    alpha_high: alphaHigh,
    alpha_low: alphaLow,
    liquid_alpha_enabled: state.read(of.LiquidAlphaOn, netuid),
    alpha_sigmoid_steepness: { bits: 1000n << 32n },
    yuma_version: state.read(of.Yuma3On, netuid) ? 3 : 2,
    subnet_is_active: state.read(of.SubtokenEnabled, netuid),
    transfers_enabled: state.read(of.TransferToggle, netuid),
    bonds_reset_enabled: state.read(of.BondsResetOn, netuid),
    user_liquidity_enabled: false,
  }
}

/** What the metagraph and `DynamicInfo` tell alike of a subnet. */
export function subnetFacts(state: View, netuid: number) {
  const of = Subtensor
  return {
    netuid,
    owner_hotkey: state.read(of.SubnetOwnerHotkey, netuid),
    owner_coldkey: state.read(of.SubnetOwner, netuid),
    network_registered_at: state.read(of.NetworkRegisteredAt, netuid),
    last_step: state.read(of.LastMechansimStepBlock, netuid),
    blocks_since_last_step: state.read(of.BlocksSinceLastStep, netuid),
    alpha_in: state.read(of.SubnetAlphaIn, netuid),
    alpha_out: state.read(of.SubnetAlphaOut, netuid),
    tao_in: state.read(of.SubnetTAO, netuid),
    alpha_out_emission: state.read(of.SubnetAlphaOutEmission, netuid),
    alpha_in_emission: state.read(of.SubnetAlphaInEmission, netuid),
    tao_in_emission: state.read(of.SubnetTaoInEmission, netuid),
    pending_alpha_emission: state.read(of.PendingServerEmission, netuid),
    pending_root_emission: 0n,
    subnet_volume: state.read(of.SubnetVolume, netuid),
    moving_price: state.read(of.SubnetMovingPrice, netuid),
  }
}

/** One subnet whole, as get_metagraph and get_mechagraph answer it. */
export function metagraphOf(
  state: View,
  netuid: number,
  block: number,
  mechanism = 0,
): MetagraphValue | undefined {
  if (!subnetExists(state, netuid)) return undefined
  const of = Subtensor
  const index = mechanismIndex(netuid, mechanism)
  const hotkeys = hotkeysOf(state, netuid)
  const n = hotkeys.length
  const stake = hotkeys.map((hotkey) => stakeOf(state, hotkey, netuid))
  const { alpha_sigmoid_steepness, yuma_version, subnet_is_active, ...params } = hyperparams(
    state,
    netuid,
  )
  return {
    ...params,
    ...subnetFacts(state, netuid),
    name: subnetName(state, netuid),
    symbol: [...state.read(of.TokenSymbol, netuid)],
    identity: state.find(of.SubnetIdentitiesV3, netuid),
    block: BigInt(block),
    subnet_emission: 0n,
    num_uids: n,
    max_uids: state.read(of.MaxAllowedUids, netuid),
    burn: state.read(of.Burn, netuid),
    pow_registration_allowed: state.read(of.NetworkPowRegistrationAllowed, netuid),
    hotkeys,
    coldkeys: hotkeys.map((hotkey) => state.read(of.Owner, hotkey)),
    identities: hotkeys.map((hotkey) => state.find(of.IdentitiesV2, state.read(of.Owner, hotkey))),
    axons: hotkeys.map((hotkey) => state.find(of.Axons, netuid, hotkey) ?? EMPTY_AXON),
    active: fill(state.read(of.Active, netuid), n, false),
    validator_permit: fill(state.read(of.ValidatorPermit, netuid), n, false),
    pruning_score: fill(state.read(of.PruningScores, netuid), n, 0),
    last_update: fill(state.read(of.LastUpdate, index), n, 0n),
    emission: fill(state.read(of.Emission, netuid), n, 0n),
    dividends: fill(state.read(of.Dividends, netuid), n, 0),
    incentives: fill(state.read(of.Incentive, index), n, 0),
    consensus: fill(state.read(of.Consensus, netuid), n, 0),
    trust: fill(state.read(of.Trust, netuid), n, 0),
    rank: fill(state.read(of.Rank, netuid), n, 0),
    block_at_registration: hotkeys.map((_, uid) => state.read(of.BlockAtRegistration, netuid, uid)),
    alpha_stake: stake,
    tao_stake: stake.map(() => 0n),
    total_stake: stake,
    tao_dividends_per_hotkey: [],
    alpha_dividends_per_hotkey: hotkeys.map((hotkey): [AccountId, bigint] => [
      hotkey,
      state.read(of.AlphaDividendsPerSubnet, netuid, hotkey),
    ]),
  }
}

/** The fields a caller named by index; the others are absent. */
export function selectFields(
  whole: MetagraphValue,
  indexes: readonly number[],
): Record<string, unknown> {
  const values: Readonly<Record<string, unknown>> = {
    ...whole,
    identity: whole.identity === undefined ? [] : [whole.identity],
    validators: whole.validator_permit.flatMap((permit, uid) => (permit ? [uid] : [])),
    commitments: [],
  }
  const wanted = new Set(indexes.map((index) => SELECTIVE_NAMES[index]))
  const selected: Record<string, unknown> = { netuid: whole.netuid }
  for (const name of SELECTIVE_NAMES) if (wanted.has(name)) selected[name] = values[name]
  return selected
}

/** One neuron as get_neurons_lite lists it. */
export function neuronLite(
  state: View,
  netuid: number,
  uid: number,
): Value<typeof neuronInfoLite> | undefined {
  const of = Subtensor
  if (!subnetExists(state, netuid) || uid >= state.read(of.SubnetworkN, netuid)) return undefined
  const hotkey = state.read(of.Keys, netuid, uid)
  const coldkey = state.read(of.Owner, hotkey)
  const numberOf = (entry: typeof of.Rank): number => state.read(entry, netuid)[uid] ?? 0
  return {
    hotkey,
    coldkey,
    uid,
    netuid,
    active: state.read(of.Active, netuid)[uid] ?? false,
    axon_info: state.find(of.Axons, netuid, hotkey) ?? EMPTY_AXON,
    prometheus_info: state.find(of.Prometheus, netuid, hotkey) ?? EMPTY_PROMETHEUS,
    stake: [[coldkey, stakeOf(state, hotkey, netuid)]],
    rank: numberOf(of.Rank),
    emission: state.read(of.Emission, netuid)[uid] ?? 0n,
    incentive: numberOf(of.Incentive),
    consensus: numberOf(of.Consensus),
    trust: numberOf(of.Trust),
    validator_trust: numberOf(of.ValidatorTrust),
    dividends: numberOf(of.Dividends),
    last_update: state.read(of.LastUpdate, netuid)[uid] ?? 0n,
    validator_permit: state.read(of.ValidatorPermit, netuid)[uid] ?? false,
    pruning_score: numberOf(of.PruningScores),
  }
}

export function neuronsLite(state: View, netuid: number): Value<typeof neuronInfoLite>[] {
  const n = subnetExists(state, netuid) ? state.read(Subtensor.SubnetworkN, netuid) : 0
  return Array.from({ length: n }, (_, uid) => neuronLite(state, netuid, uid)).filter(
    (neuron) => neuron !== undefined,
  )
}
