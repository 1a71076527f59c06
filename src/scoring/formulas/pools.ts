import { clamp, sum } from './numbers.js'

/** A miner as Vidaio's pools see it. */
export interface PoolMiner {
  readonly uid: number
  /** Running score; only its order matters. */
  readonly score: number
  /** Alpha stake. */
  readonly alpha: number
  /** Share of recent emission not sold, 0–1; `undefined` where unknown (counts as 0.5). */
  readonly retained: number | undefined
}

export interface PodiumPlace {
  readonly uid: number
  readonly rank: number
}

export interface PoolOptions {
  readonly compression: readonly PoolMiner[]
  readonly upscaling: readonly PoolMiner[]
  readonly podium: readonly PodiumPlace[]
  /** Share of the whole sent to `burnUid`, 0–1. */
  readonly burn: number
  readonly burnUid?: number
  readonly alphaFactor: number
  readonly liquidationFactor: number
}

export const POOLS = {
  compression: 0.8,
  upscaling: 0.2,
  rankShares: [0.2, 0.2, 0.2, 0.2, 0.2],
  podium: 0.6,
  podiumShares: [0.7, 0.2, 0.1],
  unknownRetained: 0.5,
} as const

/** Multiplies the positive entries and scales them back to their old sum, in place. */
export function reweigh(scores: number[], multiplier: (index: number) => number): void {
  const before = sum(scores)
  for (const [index, score] of scores.entries()) {
    scores[index] = score > 0 ? score * multiplier(index) : score
  }
  const after = sum(scores)
  if (after > 0)
    for (const [index, score] of scores.entries()) scores[index] = (score * before) / after
}

function rankCurve(
  miners: readonly PoolMiner[],
  allocation: number,
  options: PoolOptions,
): ReadonlyMap<number, number> {
  const ranked = [...miners].sort((a, b) => b.score - a.score)
  const scores = ranked.map((_, rank) => allocation * (POOLS.rankShares[rank] ?? 0))
  const paid = ranked.filter((_, index) => (scores[index] ?? 0) > 0)
  const alphaTotal = sum(paid.map((miner) => Math.max(0, miner.alpha)))
  if (options.alphaFactor > 0 && alphaTotal > 0) {
    reweigh(scores, (index) => {
      const alpha = Math.max(0, ranked[index]?.alpha ?? 0)
      return 1 + options.alphaFactor * (alpha / alphaTotal)
    })
  }
  if (options.liquidationFactor > 0) {
    reweigh(scores, (index) => {
      const retained = clamp(ranked[index]?.retained ?? POOLS.unknownRetained, 0, 1)
      return 1 + options.liquidationFactor * retained
    })
  }
  return new Map(ranked.map((miner, index) => [miner.uid, scores[index] ?? 0]))
}

/**
 * Vidaio's weights before the chain normalises them (vidaio-subnet fea3779): two pools, the top
 * five of each paid alike, weighed by alpha and by retained emission; a podium takes 0.6 of the
 * compression pool, or everything where no miner serves; a share may be burnt.
 *
 * @returns uid → weight; the sum is at most 1
 */
export function poolWeights(options: PoolOptions): ReadonlyMap<number, number> {
  const weights = new Map<number, number>()
  const add = (uid: number, weight: number): void => {
    weights.set(uid, (weights.get(uid) ?? 0) + weight)
  }
  const hasWinner = options.podium.some((place) => place.rank === 1)
  let rewards = (hasWinner ? options.podium : []).map((place) => ({
    uid: place.uid,
    share: POOLS.podium * (POOLS.podiumShares[place.rank - 1] ?? 0),
  }))
  if (options.compression.length + options.upscaling.length === 0) {
    const total = sum(rewards.map((reward) => reward.share))
    rewards = rewards.map((reward) => ({ ...reward, share: reward.share / total }))
  }
  const podiumTotal = sum(rewards.map((reward) => reward.share))
  const compressionPool = Math.max(0, POOLS.compression - podiumTotal)
  for (const [uid, weight] of rankCurve(options.compression, compressionPool, options)) {
    add(uid, weight)
  }
  for (const [uid, weight] of rankCurve(options.upscaling, POOLS.upscaling, options)) {
    add(uid, weight)
  }
  for (const reward of rewards) add(reward.uid, reward.share)
  if (options.burn <= 0) return weights
  const burnt = options.burn * sum([...weights.values()])
  for (const [uid, weight] of weights) weights.set(uid, weight * (1 - options.burn))
  if (burnt > 0 && options.burnUid !== undefined) add(options.burnUid, burnt)
  return weights
}

export interface StakeSnapshot {
  readonly alpha: number
  readonly emission: number
}

export type Liquidation =
  | {
      readonly status: 'ok'
      readonly totalEmission: number
      readonly alphaDelta: number
      readonly retained: number
      readonly liquidated: number
    }
  | {
      readonly status: 'new_or_insufficient_history' | 'no_recent_emission'
      readonly retained: undefined
    }

/**
 * How much of its emission a miner kept over the last (at most ten) epoch snapshots. The first
 * snapshot is the base line: what it was paid came before.
 */
export function liquidation(oldestFirst: readonly StakeSnapshot[]): Liquidation {
  const window = oldestFirst.slice(-10)
  const first = window[0]
  const last = window.at(-1)
  if (window.length < 2 || first === undefined || last === undefined) {
    return { status: 'new_or_insufficient_history', retained: undefined }
  }
  const totalEmission = sum(window.slice(1).map((snapshot) => Math.max(0, snapshot.emission)))
  if (totalEmission <= 0) return { status: 'no_recent_emission', retained: undefined }
  const alphaDelta = Math.max(0, last.alpha - first.alpha)
  const kept = Math.min(alphaDelta, totalEmission)
  return {
    status: 'ok',
    totalEmission,
    alphaDelta,
    retained: kept / totalEmission,
    liquidated: Math.max(0, totalEmission - kept) / totalEmission,
  }
}
