import type { AccountId } from '../runtime/frame-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { type Context, emitSubtensor, ensure } from './context.js'
import { mechanismIndex, setLastUpdate, stakeOf } from './neurons.js'

export interface WeightsArgs {
  readonly netuid: number
  readonly mecid: number
  readonly dests: readonly number[]
  readonly weights: readonly number[]
  readonly version_key: bigint
}

const U16_MAX = 65_535

export const hasStakeForWeights = ({ state }: Context, who: AccountId, netuid: number): boolean =>
  stakeOf(state, who, netuid) >= state.read(Subtensor.StakeThreshold)

/** Whether a neuron may set or commit weights again; the first time is always allowed. */
export function passesWeightsRate({ state, block }: Context, index: number, uid: number): boolean {
  const netuid = index % 4096
  if (uid >= state.read(Subtensor.SubnetworkN, netuid)) return false
  const last = state.read(Subtensor.LastUpdate, index)[uid] ?? 0n
  return last === 0n || BigInt(block) - last >= state.read(Subtensor.WeightsSetRateLimit, netuid)
}

export function ensureMechanism({ state }: Context, netuid: number, mecid: number): void {
  ensure(state.read(Subtensor.NetworksAdded, netuid), 'MechanismDoesNotExist')
  ensure(mecid < state.read(Subtensor.MechanismCountCurrent, netuid), 'MechanismDoesNotExist')
}

/** `set_weights` as a neuron calls it: refused where the subnet demands commits. */
export function setWeights(context: Context, who: AccountId, args: WeightsArgs): void {
  const { state } = context
  ensure(!state.read(Subtensor.CommitRevealWeightsEnabled, args.netuid), 'CommitRevealEnabled')
  applyWeights(context, who, args)
}

/** Checks and stores a weight vector, from a call or from a reveal. */
export function applyWeights(context: Context, who: AccountId, args: WeightsArgs): void {
  const { state, block } = context
  const { netuid, dests, weights } = args
  const index = mechanismIndex(netuid, args.mecid)
  const n = state.read(Subtensor.SubnetworkN, netuid)
  const commitReveal = state.read(Subtensor.CommitRevealWeightsEnabled, netuid)
  ensure(netuid !== 0, 'CanNotSetRootNetworkWeights')
  ensure(dests.length === weights.length, 'WeightVecNotEqualSize')
  if (context.runtime.model >= 393) ensureMechanism(context, netuid, args.mecid)
  ensure(dests.length <= n, 'UidsLengthExceedUidsInSubNet')
  const uid = state.find(Subtensor.Uids, netuid, who)
  ensure(uid !== undefined, 'HotKeyNotRegisteredInSubNet')
  ensure(hasStakeForWeights(context, who, netuid), 'NotEnoughStakeToSetWeights')
  const version = state.read(Subtensor.WeightsVersionKey, netuid)
  ensure(version === 0n || args.version_key >= version, 'IncorrectWeightVersionKey')
  if (!commitReveal) ensure(passesWeightsRate(context, index, uid), 'SettingWeightsTooFast')

  const selfWeight = dests.length === 1 && dests[0] === uid
  const permit = state.read(Subtensor.ValidatorPermit, netuid)[uid] ?? false
  const owner = state.read(Subtensor.SubnetOwnerHotkey, netuid) === who
  ensure(selfWeight || owner || permit, 'NeuronNoValidatorPermit')
  ensure(new Set(dests).size === dests.length, 'DuplicateUids')
  ensure(
    dests.every((dest) => dest < n),
    'UidVecContainInvalidOne',
  )
  const minimum = Math.min(n, state.read(Subtensor.MinAllowedWeights, netuid))
  ensure(selfWeight || weights.length >= minimum, 'WeightVecLengthIsLow')
  const upscaled = maxUpscale(weights)
  const limit = state.read(Subtensor.MaxWeightsLimit, netuid)
  ensure(selfWeight || withinLimit(upscaled, limit), 'MaxWeightExceeded')

  const row = dests.map((dest, i): [number, number] => [dest, upscaled[i] ?? 0])
  state.write(Subtensor.Weights, [index, uid], row)
  if (!commitReveal) setLastUpdate(state, index, uid, block)
  emitSubtensor(context, 'WeightsSet', index, uid)
}

/** Scales a vector so that its largest value is 65535, rounding down. */
function maxUpscale(values: readonly number[]): number[] {
  const max = Math.max(0, ...values)
  if (max === 0 || max === U16_MAX) return [...values]
  return values.map((value) => Math.round((value * U16_MAX) / max))
}

function withinLimit(values: readonly number[], limit: number): boolean {
  if (limit === U16_MAX) return true
  const sum = values.reduce((total, value) => total + value, 0)
  return sum === 0 || Math.max(...values) / sum <= limit / U16_MAX
}
