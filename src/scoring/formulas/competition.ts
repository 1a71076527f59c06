import { compressionScore } from './compression.js'
import { sum } from './numbers.js'

/**
 * Weight of a clip by length: (ln(1+d)/ln(1+max))^exponent, in (0, 1].
 *
 * @throws RangeError unless 0 < seconds ≤ maxSeconds and 0 < exponent ≤ 10
 */
export function competitionLengthWeight(seconds: number, maxSeconds: number, exponent = 1): number {
  if (!(seconds > 0 && seconds <= maxSeconds && Number.isFinite(maxSeconds))) {
    throw new RangeError(`a clip of ${seconds} s is outside 0..${maxSeconds} s`)
  }
  if (!(exponent > 0 && exponent <= 10)) {
    throw new RangeError(`the length exponent must be in (0, 10], got ${exponent}`)
  }
  return (Math.log1p(seconds) / Math.log1p(maxSeconds)) ** exponent
}

export interface CompetitionItem {
  readonly hotkey: string
  /** Which evaluation clip. */
  readonly evaluation: string
  readonly status: 'SCORED' | 'FAILED'
  readonly vmaf: number
  /** Bytes in / bytes out. */
  readonly ratio: number
  readonly threshold: number
  readonly cost: number
  readonly weight: number
}

export interface CompetitionResult {
  readonly media: number
  readonly cost: number
  readonly coverage: number
  /** Rounded to 8 decimals. */
  readonly final: number
}

/** Final standing per hotkey: weighted means of media score, cost efficiency and coverage. */
export function competitionFinal(
  items: readonly CompetitionItem[],
  factors: { readonly quality: number; readonly cost: number; readonly coverage: number },
): ReadonlyMap<string, CompetitionResult> {
  const scored = items.map((item) => {
    const valid = item.status === 'SCORED' && item.ratio > 0
    const score = valid ? compressionScore({ ...item, rate: 1 / item.ratio }).score : 0
    return { item, score }
  })
  const cheapest = new Map<string, number>()
  for (const { item, score } of scored) {
    if (score <= 0) continue
    cheapest.set(item.evaluation, Math.min(cheapest.get(item.evaluation) ?? Infinity, item.cost))
  }
  const results = new Map<string, CompetitionResult>()
  for (const hotkey of new Set(items.map((item) => item.hotkey))) {
    const own = scored.filter(({ item }) => item.hotkey === hotkey)
    const total = sum(own.map(({ item }) => item.weight))
    const weighted = (value: (entry: (typeof own)[number]) => number): number =>
      total > 0 ? sum(own.map((entry) => entry.item.weight * value(entry))) / total : 0
    const media = weighted(({ score }) => score)
    const cost = weighted(({ item, score }) =>
      score > 0 && item.cost > 0
        ? Math.min(1, (cheapest.get(item.evaluation) ?? item.cost) / item.cost)
        : 0,
    )
    const coverage = weighted(({ score }) => (score > 0 ? 1 : 0))
    const final = factors.quality * media + factors.cost * cost + factors.coverage * coverage
    results.set(hotkey, { media, cost, coverage, final: Math.round(final * 1e8) / 1e8 })
  }
  return results
}
