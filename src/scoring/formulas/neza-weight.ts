import { clamp, mean, sum } from './numbers.js'

const logistic = (x: number): number => 1 / (1 + Math.exp(-x))

/**
 * Mean of the known values times σ(10·(coverage − 0.5)); absent values are `undefined`. Even full
 * coverage multiplies by 0.9933 (subnet99/Neza 35814a6, score_manager.py).
 */
export function safeMean(values: readonly (number | undefined)[]): number {
  const known = values.filter((value) => value !== undefined)
  if (known.length === 0) return 0
  const average = mean(known)
  if (!Number.isFinite(average)) return 0
  return average * logistic(10 * (known.length / values.length - 0.5))
}

const API_MODELS = {
  'sora-2': { baselineSeconds: 16.4, scaleSeconds: 8.5 },
  'sora-2-pro': { baselineSeconds: 31, scaleSeconds: 8 },
} as const

/** Reward for speed of an API model: 1 at its base line, 1.3 when far faster, 0.3 when far slower. */
export function apiTimeFactor(averageSeconds: number | undefined, model: string): number {
  if (averageSeconds === undefined || !(averageSeconds > 0)) return 1
  const { baselineSeconds, scaleSeconds } =
    model === 'sora-2-pro' ? API_MODELS['sora-2-pro'] : API_MODELS['sora-2']
  const y = 0.5 * (1 + Math.tanh((-1.5 * (averageSeconds - baselineSeconds)) / scaleSeconds))
  return clamp(y >= 0.5 ? 1 + 0.6 * (y - 0.5) : 0.3 + 1.4 * y, 0.3, 1.3)
}

/** Scores scaled between their 5th and 95th percentile; unknown and non-positive ones become 0. */
export function normalizeApi<K>(
  scores: ReadonlyMap<K, number | undefined>,
): ReadonlyMap<K, number> {
  const valid = [...scores.values()]
    .filter((score) => score !== undefined)
    .filter((score) => score > 0)
    .sort((a, b) => a - b)
  const low = valid[Math.floor(valid.length * 0.05)] ?? 0
  const high = valid[Math.min(valid.length - 1, Math.floor(valid.length * 0.95))] ?? 0
  const scale = (score: number): number => {
    if (valid.length === 1) return 1
    if (high === low) return 0.5
    return (clamp(score, low, high) - low) / (high - low)
  }
  return new Map(
    [...scores].map(([key, score]) => [key, score !== undefined && score > 0 ? scale(score) : 0]),
  )
}

export interface MinerWeightInput {
  readonly history: readonly (number | undefined)[]
  readonly comfy: readonly (number | undefined)[]
  /** From {@link normalizeApi}. */
  readonly apiNormalized: number
  readonly apiCount: number
  /** From {@link stakeFactor}; 1 by default. */
  readonly stakeFactor?: number
}

/** 0.4 history + 0.6 (0.2 ComfyUI + 0.8 API), halved below two tasks. */
export function minerWeight(input: MinerWeightInput): {
  readonly history: number
  readonly combined: number
  readonly weight: number
} {
  const history = safeMean(input.history)
  const tasks = input.comfy.length + input.apiCount
  const combined = tasks === 0 ? 0 : 0.2 * safeMean(input.comfy) + 0.8 * input.apiNormalized
  const base = (0.4 * history + 0.6 * combined) * (tasks < 2 ? 0.5 : 1)
  return { history, combined, weight: base * (input.stakeFactor ?? 1) }
}

/** Two exponentials meeting at `breakpoint`; both are relative to the range left. */
function twoExponentials(
  ratio: number,
  shape: {
    readonly min: number
    readonly middle: number
    readonly max: number
    readonly k1: number
    readonly k2: number
    readonly breakpoint: number
    readonly end: number
  },
): number {
  const { min, middle, max, k1, k2, breakpoint, end } = shape
  if (ratio < breakpoint) {
    return min + (middle - min) * (1 - Math.exp((-k1 * ratio) / breakpoint))
  }
  const meeting = min + (middle - min) * (1 - Math.exp(-k1))
  const position = Math.min(1, (ratio - breakpoint) / (end - breakpoint))
  return meeting + (max - meeting) * (1 - Math.exp(-k2 * position))
}

/** Share of emission paid to miners, by their stake relative to validators'. Inert at min = max = 1. */
export function emissionShare(input: {
  readonly minerStake: number
  readonly avgValidatorStake: number
  readonly min: number
  readonly max: number
}): number {
  const { minerStake, avgValidatorStake, min, max } = input
  if (avgValidatorStake === 0) return min
  const ratio = minerStake / avgValidatorStake
  if (ratio >= 1) return max
  const share = twoExponentials(ratio, {
    min,
    middle: max,
    max,
    k1: 3,
    k2: 0.5,
    breakpoint: 0.5,
    end: 1,
  })
  return clamp(share, min, max)
}

/** Factor on a miner's weight by its stake relative to the average. Inert at min = max = 1. */
export function stakeFactor(input: {
  readonly stake: number
  readonly avg: number
  readonly min: number
  readonly max: number
}): number {
  const { stake, avg, min, max } = input
  if (avg === 0) return 1
  const factor = twoExponentials(stake / avg, {
    min,
    middle: 1,
    max,
    k1: 4,
    k2: 1,
    breakpoint: 0.5,
    end: 3,
  })
  return clamp(factor, min, max)
}

/** Half own scores, half a published consensus; all consensus where nothing could be verified. */
export function consensusBlend(input: {
  readonly local: readonly number[]
  readonly consensus: readonly number[]
  readonly available: readonly number[]
  readonly blacklisted: readonly number[]
  readonly consensusOnly: boolean
}): readonly number[] {
  const share = input.consensusOnly ? 1 : 0.5
  return input.consensus.map((value, uid) => {
    if (!input.available.includes(uid) || input.blacklisted.includes(uid)) return 0
    return value * share + (input.local[uid] ?? 0) * (1 - share)
  })
}

/** Gives `uid` a fixed share of the total; the others keep their proportions. */
export function emissionControl(
  scores: readonly number[],
  uid: number,
  percentage: number,
): readonly number[] {
  const own = scores[uid]
  const total = sum(scores)
  if (own === undefined || total - own === 0) return scores
  const others = total - own
  return scores.map((score, index) =>
    index === uid ? percentage * total : (score / others) * (1 - percentage) * total,
  )
}
