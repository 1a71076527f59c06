import type { Hotkey, Uid } from '../protocol/units.js'
import { clamp, sum } from './formulas/numbers.js'
import { POOLS, type PodiumPlace, reweigh } from './formulas/pools.js'
import { decayed, LEDGER_RULES, type Ledger, type LedgerRules, standingOf } from './ledger.js'
import { TASK_KINDS, type TaskKind } from './types.js'

/** A neuron that may be paid. Leave out validators and whoever is banned. */
export interface WeightNeuron {
  readonly uid: Uid
  readonly hotkey: Hotkey
  /** Alpha stake; only read where `alphaFactor` is above 0. */
  readonly alpha?: number
  /** Share of recent emission not sold, 0–1; only read where `liquidationFactor` is above 0. */
  readonly retained?: number
}

export interface WeightConfig {
  /** Share of each kind of work in the whole; they need not sum to 1. */
  readonly pools: Readonly<Record<TaskKind, number>>
  /**
   * How a pool is shared. `proportional`: by running score to a power, so that a little better
   * earns a little more. `ranks`: fixed shares for the best, nothing for the rest.
   */
  readonly sharing:
    | { readonly kind: 'proportional'; readonly power: number }
    | { readonly kind: 'ranks'; readonly shares: readonly number[] }
  /** Scored tasks that a miner needs before it is paid. */
  readonly minTasks: number
  readonly alphaFactor: number
  readonly liquidationFactor: number
  /** Winners of a competition: `share` of the whole, taken from the pool of `from`. */
  readonly podium: {
    readonly from: TaskKind
    readonly share: number
    readonly shares: readonly number[]
  }
  /** Share of the whole given to `burnUid`, 0–1. */
  readonly burn: number
}

export const WEIGHTS: WeightConfig = {
  pools: { compression: 0.4, upscaling: 0.3, generation: 0.2, audio: 0.1 },
  sharing: { kind: 'proportional', power: 2 },
  minTasks: 1,
  alphaFactor: 0,
  liquidationFactor: 0,
  podium: { from: 'compression', share: 0.6, shares: [0.7, 0.2, 0.1] },
  burn: 0,
}

/** The numbers Vidaio runs with (fea3779). */
export const VIDAIO_WEIGHTS: WeightConfig = {
  ...WEIGHTS,
  pools: { compression: POOLS.compression, upscaling: POOLS.upscaling, generation: 0, audio: 0 },
  sharing: { kind: 'ranks', shares: POOLS.rankShares },
  liquidationFactor: 5,
}

export interface WeightEntry {
  readonly uid: Uid
  /** In (0, 1]; all entries sum to 1. */
  readonly weight: number
  /** Where it comes from, before the last normalisation. */
  readonly parts: Readonly<Partial<Record<TaskKind | 'podium' | 'burn', number>>>
}

export type WeightOutcome =
  | { readonly kind: 'weights'; readonly entries: readonly WeightEntry[] }
  /** Nothing worth setting: resend the last good vector, or wait. Never set zeros. */
  | {
      readonly kind: 'no-usable-weights'
      readonly reason: 'no-neurons' | 'nothing-scored'
      readonly detail: string
    }

export interface WeightInput {
  readonly ledger: Ledger
  readonly neurons: readonly WeightNeuron[]
  readonly nowMs: number
  readonly podium?: readonly PodiumPlace[]
  readonly burnUid?: Uid
  readonly config?: WeightConfig
  readonly rules?: LedgerRules
}

type Parts = Map<number, Partial<Record<TaskKind | 'podium' | 'burn', number>>>

/**
 * From scores to the weights of one epoch: finite, positive, sorted by uid, summing to 1.
 * A pool without a miner is shared by the others, since the chain normalises the row anyway.
 *
 * @example
 * const outcome = computeWeights({ ledger, neurons, nowMs: clock.now() })
 * if (outcome.kind === 'weights') await chain.setWeights(outcome.entries)
 */
export function computeWeights(input: WeightInput): WeightOutcome {
  const { ledger, neurons, nowMs, podium = [], config = WEIGHTS, rules = LEDGER_RULES } = input
  if (neurons.length === 0) {
    return { kind: 'no-usable-weights', reason: 'no-neurons', detail: 'no neuron may be paid' }
  }
  const uids = new Set<number>(neurons.map((neuron) => neuron.uid))
  const winners = podium.some((place) => place.rank === 1)
    ? podium.filter((place) => uids.has(place.uid))
    : []
  const rewards = winners.map((place) => ({
    uid: place.uid,
    share: config.podium.share * (config.podium.shares[place.rank - 1] ?? 0),
  }))
  const podiumTotal = sum(rewards.map((reward) => reward.share))
  const parts: Parts = new Map()
  for (const task of TASK_KINDS) {
    const taken = task === config.podium.from ? podiumTotal : 0
    const allocation = Math.max(0, config.pools[task] - taken)
    const scores = neurons.map((neuron) => {
      const standing = standingOf(ledger, neuron.hotkey, task)
      return standing.scored >= config.minTasks ? positive(decayed(standing, nowMs, rules)) : 0
    })
    for (const [index, share] of sharePool(scores, neurons, allocation, config).entries()) {
      add(parts, neurons[index]?.uid, task, share)
    }
  }
  for (const reward of rewards) add(parts, reward.uid, 'podium', reward.share)
  return finish(parts, clamp(config.burn, 0, 1), input.burnUid)
}

const positive = (value: number): number => (Number.isFinite(value) && value > 0 ? value : 0)

function sharePool(
  scores: readonly number[],
  neurons: readonly WeightNeuron[],
  allocation: number,
  config: WeightConfig,
): readonly number[] {
  const shares = rawShares(scores, config.sharing)
  const total = sum(shares)
  if (!(total > 0)) return shares
  // Ranks that nobody holds stay unpaid; proportional shares always fill the pool.
  const unitShare = config.sharing.kind === 'ranks' ? allocation : allocation / total
  const paid = shares.map((share) => share * unitShare)
  const alphaTotal = sum(neurons.map((n, i) => ((paid[i] ?? 0) > 0 ? positive(n.alpha ?? 0) : 0)))
  if (config.alphaFactor > 0 && alphaTotal > 0) {
    reweigh(paid, (i) => 1 + (config.alphaFactor * positive(neurons[i]?.alpha ?? 0)) / alphaTotal)
  }
  if (config.liquidationFactor > 0) {
    reweigh(paid, (i) => {
      const retained = neurons[i]?.retained ?? POOLS.unknownRetained
      return 1 + config.liquidationFactor * clamp(retained, 0, 1)
    })
  }
  return paid
}

function rawShares(scores: readonly number[], sharing: WeightConfig['sharing']): number[] {
  if (sharing.kind === 'proportional') {
    // Relative to the best first: tiny scores to a power must not underflow to nothing.
    const best = Math.max(...scores)
    return scores.map((score) => (best > 0 ? (score / best) ** sharing.power : 0))
  }
  const ranked = scores
    .map((score, index) => ({ score, index }))
    .filter((entry) => entry.score > 0)
    .sort((a, b) => b.score - a.score || a.index - b.index)
  const shares = scores.map(() => 0)
  for (const [rank, entry] of ranked.entries()) shares[entry.index] = sharing.shares[rank] ?? 0
  return shares
}

function add(
  parts: Parts,
  uid: number | undefined,
  what: TaskKind | 'podium' | 'burn',
  share: number,
): void {
  if (uid === undefined || !(share > 0)) return
  const own = parts.get(uid) ?? {}
  parts.set(uid, { ...own, [what]: (own[what] ?? 0) + share })
}

function finish(parts: Parts, burn: number, burnUid: Uid | undefined): WeightOutcome {
  const earned = sum([...parts.values()].map((own) => sum(Object.values(own))))
  if (!(earned > 0)) {
    return {
      kind: 'no-usable-weights',
      reason: 'nothing-scored',
      detail: 'no neuron has a score above 0 in a pool that pays',
    }
  }
  const burnt = burnUid === undefined ? 0 : burn
  if (burnt > 0) {
    for (const [uid, own] of parts) {
      const kept = Object.entries(own).map(([what, share]) => [what, share * (1 - burnt)])
      parts.set(uid, Object.fromEntries(kept))
    }
    add(parts, burnUid, 'burn', burnt * earned)
  }
  const entries = [...parts]
    .map(([uid, own]) => ({
      uid: uid as Uid,
      weight: sum(Object.values(own)) / earned,
      parts: own,
    }))
    .filter((entry) => entry.weight > 0)
    .sort((a, b) => a.uid - b.uid)
  return { kind: 'weights', entries }
}
