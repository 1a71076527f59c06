import { sum } from './numbers.js'

export interface YumaInput {
  /** Rows are validators, columns miners; rows need not be normalised. */
  readonly weights: readonly (readonly number[])[]
  readonly stake: readonly number[]
  /** Share of stake that must stand behind a weight; the chain's default is 32767/65535. */
  readonly kappa?: number
  readonly bonds?: readonly (readonly number[])[] | undefined
  /** How fast bonds follow, 0–1. */
  readonly bondsAlpha?: number
  /** 1: bonds from clipped weights; 0: from the weights as set. */
  readonly bondsPenalty?: number
}

export interface YumaResult {
  readonly consensus: readonly number[]
  readonly validatorTrust: readonly number[]
  readonly rank: readonly number[]
  readonly incentive: readonly number[]
  readonly trust: readonly number[]
  readonly dividends: readonly number[]
  readonly bonds: readonly (readonly number[])[]
}

const normalise = (values: readonly number[]): readonly number[] => {
  const total = sum(values)
  return total > 0 ? values.map((value) => value / total) : values.map(() => 0)
}

const at = (matrix: readonly (readonly number[])[], i: number, j: number): number =>
  matrix[i]?.[j] ?? 0

function normaliseColumns(
  matrix: readonly (readonly number[])[],
  columns: number,
): readonly (readonly number[])[] {
  const totals = Array.from({ length: columns }, (_, j) => sum(matrix.map((row) => row[j] ?? 0)))
  return matrix.map((row) =>
    Array.from({ length: columns }, (_, j) => {
      const total = totals[j] ?? 0
      return total > 0 ? (row[j] ?? 0) / total : 0
    }),
  )
}

/** The largest weight that validators with at least κ of the stake give. */
function consensusWeight(
  column: readonly number[],
  stake: readonly number[],
  kappa: number,
): number {
  let best = 0
  for (const weight of column) {
    const behind = sum(stake.filter((_, i) => (column[i] ?? 0) >= weight))
    if (behind >= kappa && weight > best) best = weight
  }
  return best
}

/**
 * One epoch of the chain's plain Yuma consensus (no liquid alpha), in float64 where the chain uses
 * fixed point: what a set of weights would earn.
 */
export function yumaEpoch(input: YumaInput): YumaResult {
  const { kappa = 32_767 / 65_535, bondsAlpha = 0.1, bondsPenalty = 1 } = input
  const stake = normalise(input.stake)
  const weights = input.weights.map(normalise)
  const miners = Math.max(0, ...input.weights.map((row) => row.length))
  const columns = Array.from({ length: miners }, (_, j) => weights.map((row) => row[j] ?? 0))
  const consensus = columns.map((column) => consensusWeight(column, stake, kappa))
  const clipped = weights.map((row) => row.map((w, j) => Math.min(w, consensus[j] ?? 0)))
  const ranked = (matrix: readonly (readonly number[])[]): number[] =>
    Array.from({ length: miners }, (_, j) => sum(stake.map((s, i) => s * at(matrix, i, j))))
  const rank = ranked(clipped)
  const unclipped = ranked(weights)
  const incentive = normalise(rank)
  const trust = rank.map((value, j) => {
    const before = unclipped[j] ?? 0
    return before > 0 ? value / before : 0
  })
  const bondWeights = weights.map((row, i) =>
    row.map((w, j) => (1 - bondsPenalty) * w + bondsPenalty * at(clipped, i, j)),
  )
  const fresh = normaliseColumns(
    bondWeights.map((row, i) => row.map((w) => w * (stake[i] ?? 0))),
    miners,
  )
  const old = input.bonds === undefined ? undefined : normaliseColumns(input.bonds, miners)
  const mixed = fresh.map((row, i) =>
    row.map((b, j) => bondsAlpha * b + (1 - bondsAlpha) * (old === undefined ? 0 : at(old, i, j))),
  )
  const bonds = normaliseColumns(mixed, miners)
  const dividends = normalise(bonds.map((row) => sum(row.map((b, j) => b * (incentive[j] ?? 0)))))
  return {
    consensus,
    validatorTrust: clipped.map((row) => sum(row)),
    rank,
    incentive,
    trust,
    dividends,
    bonds,
  }
}
