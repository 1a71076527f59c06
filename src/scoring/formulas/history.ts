import { mean } from './numbers.js'

/** One scored task, as the multipliers see it. */
export interface HistoryRow {
  /** Final score in [0, 1]. */
  readonly score: number
  /** Quality in [0, 1]; compression has none. */
  readonly quality?: number
}

export type PerformanceTier =
  | 'Elite'
  | 'Outstanding'
  | 'High Performance'
  | 'Good Performance'
  | 'Average'
  | 'Below Average'
  | 'Poor Performance'

export interface Multipliers {
  readonly bonusCount: number
  readonly penaltyScoreCount: number
  readonly penaltyQualityCount: number
  readonly bonus: number
  readonly penaltyScore: number
  readonly penaltyQuality: number
  /** Product of the three, in [0.6, 1.15]. */
  readonly total: number
  readonly averageScore: number
  readonly tier: PerformanceTier
}

/** Thresholds are strict: a score equal to one neither earns nor costs. */
export interface MultiplierRules {
  readonly bonusAbove: number
  readonly penaltyScoreBelow: number
  readonly penaltyQualityBelow: number | undefined
}

export const UPSCALING_RULES: MultiplierRules = {
  bonusAbove: 0.32,
  penaltyScoreBelow: 0.07,
  penaltyQualityBelow: 0.5,
}
export const COMPRESSION_RULES: MultiplierRules = {
  bonusAbove: 0.74,
  penaltyScoreBelow: 0.4,
  penaltyQualityBelow: undefined,
}

export const HISTORY = {
  /** Rows that count, and the divisor, however short the history is. */
  window: 10,
  bonusMax: 0.15,
  penaltyScoreMax: 0.2,
  penaltyQualityMax: 0.25,
  decay: 0.75,
  /** What a result that did not compress adds instead of its score. */
  notCompressed: -10,
} as const

const TIERS: readonly (readonly [number, PerformanceTier])[] = [
  [0.4, 'Elite'],
  [0.3, 'Outstanding'],
  [0.25, 'High Performance'],
  [0.2, 'Good Performance'],
  [0.1, 'Average'],
  [0.07, 'Below Average'],
]

/** Vidaio's tier of an average score; bounds are exclusive. */
export function performanceTier(averageScore: number): PerformanceTier {
  return TIERS.find(([above]) => averageScore > above)?.[1] ?? 'Poor Performance'
}

/**
 * Bonus and penalties of a miner's last ten scores (vidaio-subnet fea3779, miner_manager.py).
 *
 * @param newestFirst only the first ten count
 */
export function multipliers(
  newestFirst: readonly HistoryRow[],
  rules: MultiplierRules,
): Multipliers {
  const rows = newestFirst.slice(0, HISTORY.window)
  const bonusCount = rows.filter((row) => row.score > rules.bonusAbove).length
  const penaltyScoreCount = rows.filter((row) => row.score < rules.penaltyScoreBelow).length
  const qualityFloor = rules.penaltyQualityBelow
  const penaltyQualityCount =
    qualityFloor === undefined
      ? 0
      : rows.filter((row) => row.quality !== undefined && row.quality < qualityFloor).length
  const bonus = 1 + (bonusCount / HISTORY.window) * HISTORY.bonusMax
  const penaltyScore = 1 - (penaltyScoreCount / HISTORY.window) * HISTORY.penaltyScoreMax
  const penaltyQuality = 1 - (penaltyQualityCount / HISTORY.window) * HISTORY.penaltyQualityMax
  const averageScore = mean(rows.map((row) => row.score))
  return {
    bonusCount,
    penaltyScoreCount,
    penaltyQualityCount,
    bonus,
    penaltyScore,
    penaltyQuality,
    total: bonus * penaltyScore * penaltyQuality,
    averageScore,
    tier: performanceTier(averageScore),
  }
}

export const upscaleMultipliers = (rows: readonly HistoryRow[]): Multipliers =>
  multipliers(rows, UPSCALING_RULES)
export const compressionMultipliers = (rows: readonly HistoryRow[]): Multipliers =>
  multipliers(rows, COMPRESSION_RULES)

/** One step of the running score. */
export interface AccumulateEvent {
  /** In [0, 1], or `undefined` where the fault was ours: such a task changes nothing. */
  readonly score: number | undefined
  readonly multiplier: number
  /** Compression only: bytes out / bytes in; at 1 and above the step counts as −10. */
  readonly rate?: number
}

/** acc ← max(0, 0.75·acc + 0.25·score·multiplier). */
export function accumulate(accumulated: number, event: AccumulateEvent): number {
  if (event.score === undefined) return accumulated
  const notCompressed = event.rate !== undefined && event.rate >= 1
  const gained = notCompressed ? HISTORY.notCompressed : event.score * event.multiplier
  return Math.max(0, HISTORY.decay * accumulated + (1 - HISTORY.decay) * gained)
}

export type OrganicUpscaleClass = -1 | 0 | 1 | 2 | 3

export interface OrganicStep {
  readonly accumulated: number
  /** The row that enters the history; `undefined` where the task leaves no trace. */
  readonly row:
    | { readonly score: number; readonly quality: number; readonly length: number }
    | undefined
}

const ORGANIC_ROWS = {
  0: { score: 0, quality: 0, length: 0 },
  1: { score: 0.2, quality: 0.5, length: 0.5 },
  2: { score: 0.3, quality: 0.5, length: 0.5 },
  3: { score: 0.4, quality: 0.5, length: 0.5 },
} as const

/**
 * What an organic upscale does to the running score. Good work earns (class 3: +3 %), work no
 * better than bicubic costs 15 %; −1 is a skipped check. docs/adr/0036.
 */
export function organicUpscaleStep(accumulated: number, kind: OrganicUpscaleClass): OrganicStep {
  if (kind === -1) return { accumulated, row: undefined }
  const factor = { 0: 0.85, 1: 0.99, 2: 1, 3: 1.03 }[kind]
  return { accumulated: accumulated * factor, row: ORGANIC_ROWS[kind] }
}

/** The reference at fea3779: classes 2 and 3 leave no trace, so organic work can only cost. */
export function organicUpscaleStepPenaltiesOnly(
  accumulated: number,
  kind: OrganicUpscaleClass,
): OrganicStep {
  return kind >= 2 ? { accumulated, row: undefined } : organicUpscaleStep(accumulated, kind)
}

/**
 * Multipliers for an organic compression row. The reference applies the upscaling rules and a
 * quality of 0, so each row costs 2.5 % whatever its score (`reference`); the default judges
 * compression by compression's rules. docs/adr/0036.
 */
export function organicCompressionMultipliers(
  newestFirst: readonly { readonly score: number }[],
  rule: 'correct' | 'reference' = 'correct',
): Multipliers {
  if (rule === 'correct') return multipliers(newestFirst, COMPRESSION_RULES)
  return multipliers(
    newestFirst.map((row) => ({ score: row.score, quality: 0 })),
    UPSCALING_RULES,
  )
}
