/** Matrix rows are validators, columns are the neurons they weigh. */
export type Matrix = readonly (readonly number[])[]

export interface YumaInput {
  /** Rows need not be normalised; a row of zeros has no say. */
  readonly weights: Matrix
  /** Stake of each row, in any unit. */
  readonly stake: readonly number[]
  /** Share of stake that must back a weight, 0–1. */
  readonly kappa: number
  /** Bonds of the last epoch; none on the first. */
  readonly bonds?: Matrix
  /** How much of the new bonds enters, 0–1. */
  readonly bondsAlpha: number
  /** 1: bonds follow the clipped weights; 0: the weights as set. */
  readonly bondsPenalty: number
}

export interface YumaOutput {
  readonly consensus: number[]
  readonly validatorTrust: number[]
  readonly rank: number[]
  /** Sums to 1 unless nothing was weighed. */
  readonly incentive: number[]
  readonly trust: number[]
  /** Sums to 1 unless nothing was weighed. */
  readonly dividends: number[]
  /** Columns sum to 1 or are empty. */
  readonly bonds: number[][]
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Scales to a sum of 1; zeros stay. */
export function normalise(values: readonly number[]): number[] {
  const total = sum(values)
  return total === 0 ? [...values] : values.map((value) => value / total)
}

const column = (matrix: Matrix, j: number): number[] => matrix.map((row) => row[j] ?? 0)

function normaliseColumns(matrix: Matrix): number[][] {
  const width = matrix[0]?.length ?? 0
  const totals = Array.from({ length: width }, (_, j) => sum(column(matrix, j)))
  return matrix.map((row) => row.map((value, j) => (totals[j] ? value / totals[j] : 0)))
}

/** The largest weight that validators with at least `kappa` of the stake gave or exceeded. */
function majorityWeight(
  weights: readonly number[],
  stake: readonly number[],
  kappa: number,
): number {
  const ranked = weights
    .map((weight, i) => ({ weight, stake: stake[i] ?? 0 }))
    .sort((a, b) => b.weight - a.weight)
  let backing = 0
  for (const { weight, stake: own } of ranked) {
    backing += own
    if (backing >= kappa) return weight
  }
  return 0
}

/**
 * One epoch of plain Yuma consensus, in floats: weights are clipped to what a majority of stake
 * agrees on, miners share by rank, validators by their bonds to miners.
 */
export function yuma(input: YumaInput): YumaOutput {
  const stake = normalise(input.stake)
  const weights = input.weights.map(normalise)
  const width = weights[0]?.length ?? 0
  const columns = Array.from({ length: width }, (_, j) => j)
  const weighed = (matrix: Matrix): number[] =>
    columns.map((j) => sum(column(matrix, j).map((value, i) => value * (stake[i] ?? 0))))

  const consensus = columns.map((j) => majorityWeight(column(weights, j), stake, input.kappa))
  const clipped = weights.map((row) => row.map((value, j) => Math.min(value, consensus[j] ?? 0)))
  const before = weighed(weights)
  const rank = weighed(clipped)
  const incentive = normalise(rank)
  const trust = rank.map((value, j) => (before[j] ? value / before[j] : 0))

  const { bondsPenalty: penalty, bondsAlpha: alpha } = input
  const bonded = weights.map((row, i) =>
    row.map((value, j) => {
      const seen = value * (1 - penalty) + (clipped[i]?.[j] ?? 0) * penalty
      return seen * (stake[i] ?? 0)
    }),
  )
  const fresh = normaliseColumns(bonded)
  const old = input.bonds === undefined ? undefined : normaliseColumns(input.bonds)
  const bonds =
    old === undefined
      ? fresh
      : fresh.map((row, i) => row.map((v, j) => alpha * v + (1 - alpha) * (old[i]?.[j] ?? 0)))
  const dividends = normalise(
    bonds.map((row) => sum(row.map((value, j) => value * (incentive[j] ?? 0)))),
  )
  const validatorTrust = clipped.map((row) => sum(row))
  return { consensus, validatorTrust, rank, incentive, trust, dividends, bonds }
}
