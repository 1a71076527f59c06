import type { Uid } from '../protocol/units.js'
import { ChainError } from './errors.js'

/** Largest weight on chain; the largest weight of a vector is stretched to it. */
export const U16_MAX = 65_535

/** What goes on chain: parallel arrays, values 1–65535, the largest 65535. */
export interface QuantisedWeights {
  readonly uids: readonly Uid[]
  readonly values: readonly number[]
}

/** Parallel arrays before quantisation: non-negative floats. */
export interface FloatWeights {
  readonly uids: readonly Uid[]
  readonly weights: readonly number[]
}

export interface WeightLimits {
  /** Neurons in the subnet. */
  readonly neurons: number
  /** Fewest weights the subnet accepts. */
  readonly minAllowedWeights: number
  /** Largest share one weight may have, 0–1. */
  readonly maxShare: number
  /** Share of the lowest weights to drop, 0–1. Default 0. */
  readonly excludeQuantile?: number
}

/**
 * Rounds to the nearest integer, halves to the even one, as Python does.
 *
 * @example roundHalfEven(2.5) // 2
 */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const uniform = (length: number) => new Array<number>(length).fill(1 / length)

/**
 * Shares of the sum, none above `limit`: what is over is cut and the rest scaled up
 * (bittensor 10.5 `utils/weight_utils.py` normalize_max_weight). A limit that cannot be met gives
 * the uniform vector.
 */
function clipShares(weights: readonly number[], limit: number): number[] {
  const epsilon = 1e-7
  const total = sum(weights)
  const n = weights.length
  if (total === 0 || n * limit <= 1) return uniform(n)
  const shares = weights.map((weight) => weight / total)
  if (shares.every((share) => share <= limit)) return shares
  const sorted = [...shares].sort((a, b) => a - b)
  const cumulative: number[] = []
  let running = 0
  for (const share of sorted) {
    running += share
    cumulative.push(running)
  }
  // How many of the smallest shares stay below the limit once everything larger is cut to their size.
  const below = sorted.filter(
    (share, i) => share / ((n - i - 1) * share + (cumulative[i] ?? 0) + epsilon) < limit,
  ).length
  const kept = cumulative[below - 1] ?? cumulative[n - 1] ?? 0
  const cutoff = (limit * kept - epsilon) / (1 - limit * (n - below))
  const cut = shares.map((share) => Math.min(share, cutoff))
  const cutTotal = sum(cut)
  return cut.map((share) => share / cutTotal)
}

/** numpy's `quantile` with linear interpolation. */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const position = q * (sorted.length - 1)
  const index = Math.floor(position)
  const low = sorted[index] ?? 0
  const high = sorted[index + 1] ?? low
  return low + (high - low) * (position - index)
}

/**
 * Prepares a vector as bittensor 10.5 does (`process_weights`): nothing positive, or a subnet smaller
 * than the minimum, gives the uniform vector over all uids; fewer than the minimum are padded with 1e-5
 * over all uids; otherwise the lowest quantile is dropped. Then shares are clipped.
 *
 * Where the SDK adds a padded weight at its place in the list, this adds it at its uid.
 */
export function processWeights(input: FloatWeights, limits: WeightLimits): FloatWeights {
  checkVector(input, limits.neurons)
  const { neurons, minAllowedWeights, maxShare } = limits
  const given = input.uids
    .map((uid, i) => ({ uid, weight: Math.fround(input.weights[i] ?? 0) }))
    .filter(({ weight }) => weight > 0)
  const everyone = Array.from({ length: neurons }, (_, uid) => uid as Uid)
  if (given.length === 0 || neurons < minAllowedWeights) {
    return { uids: everyone, weights: uniform(neurons) }
  }
  if (given.length < minAllowedWeights) {
    const padded = new Array<number>(neurons).fill(1e-5)
    for (const { uid, weight } of given) padded[uid] = (padded[uid] ?? 0) + weight
    return { uids: everyone, weights: clipShares(padded, maxShare) }
  }
  const spare = Math.max(0, given.length - minAllowedWeights) / given.length
  const lowest = quantile(
    given.map(({ weight }) => weight),
    Math.min(limits.excludeQuantile ?? 0, spare),
  )
  const kept = given.filter(({ weight }) => weight >= lowest)
  return {
    uids: kept.map(({ uid }) => uid),
    weights: clipShares(
      kept.map(({ weight }) => weight),
      maxShare,
    ),
  }
}

/**
 * Prepares a vector as bittensor 11.3 does: clip only where the subnet has a limit, never pad.
 *
 * @throws ChainError CHAIN_WEIGHTS_INVALID when fewer than the minimum remain
 */
export function processWeightsStrict(
  input: FloatWeights,
  limits: WeightLimits & { readonly selfUid?: Uid },
): FloatWeights {
  checkVector(input, limits.neurons)
  const given = input.uids
    .map((uid, i) => ({ uid, weight: input.weights[i] ?? 0 }))
    .filter(({ weight }) => weight > 0)
  const loneSelf = given.length === 1 && given[0]?.uid === limits.selfUid
  const needed = Math.min(limits.minAllowedWeights, limits.neurons)
  if (!loneSelf && given.length < needed) {
    throw invalid(`${given.length} weights are positive; the subnet wants at least ${needed}`)
  }
  const weights = given.map(({ weight }) => weight)
  return {
    uids: given.map(({ uid }) => uid),
    weights: limits.maxShare < 1 && !loneSelf ? clipShares(weights, limits.maxShare) : weights,
  }
}

/**
 * The u16 form: divided by the largest, times 65535, halves to even, zeros dropped. All zero gives
 * an empty vector.
 *
 * @throws ChainError CHAIN_WEIGHTS_INVALID for a negative or non-finite weight
 */
export function quantise(input: FloatWeights): QuantisedWeights {
  checkVector(input)
  const largest = Math.max(0, ...input.weights)
  const uids: Uid[] = []
  const values: number[] = []
  if (largest === 0) return { uids, values }
  input.uids.forEach((uid, i) => {
    const value = roundHalfEven(((input.weights[i] ?? 0) / largest) * U16_MAX)
    if (value === 0) return
    uids.push(uid)
    values.push(value)
  })
  return { uids, values }
}

/** Whether a vector may be sent at all: some weight is positive and every one is a finite number ≥ 0. */
export function isSendable(weights: readonly number[]): boolean {
  return weights.every((w) => Number.isFinite(w) && w >= 0) && weights.some((w) => w > 0)
}

function checkVector(input: FloatWeights, neurons = U16_MAX + 1): void {
  if (input.uids.length !== input.weights.length) {
    throw invalid(`${input.uids.length} uids with ${input.weights.length} weights`)
  }
  if (new Set(input.uids).size !== input.uids.length) throw invalid('a uid is given twice')
  const outside = input.uids.find((uid) => uid >= neurons)
  if (outside !== undefined) throw invalid(`uid ${outside} is not in a subnet of ${neurons}`)
  const bad = input.weights.find((weight) => !Number.isFinite(weight) || weight < 0)
  if (bad !== undefined) throw invalid(`${bad} is not a weight: give finite numbers from 0`)
}

function invalid(reason: string): ChainError {
  return new ChainError(
    { code: 'CHAIN_WEIGHTS_INVALID', reason },
    `weights cannot be sent: ${reason}`,
  )
}
