/** One measured point of a clip: its quality at a CRF. */
export interface Point {
  readonly crf: number
  /** 0–100, in the pool and model the search is about. */
  readonly quality: number
}

export interface CrfGrid {
  readonly min: number
  readonly max: number
  /** Smallest difference the encoder honours. */
  readonly step: number
}

export interface SearchGoal extends CrfGrid {
  /** Quality to reach. */
  readonly target: number
  /** Quality above the target that ends the search at its third point; half before, doubled after. */
  readonly tolerance: number
  /** Points after which the search usually ends: the last of them must be safe. */
  readonly usual: number
  /** First CRF to try. */
  readonly start: number
  /** Whether the first try is expected to be the last. */
  readonly sure?: boolean
  /** Whether a point below the target is of use beside one above it. */
  readonly mayMiss?: boolean
  /** Growth of ln(101 − quality) per CRF from a point to the target, until two points say better. */
  readonly slope: (point: Point) => number
}

export type SearchStep =
  | { readonly next: 'probe'; readonly crf: number }
  /** `best` is undefined when even the lowest CRF misses the target. */
  | { readonly next: 'stop'; readonly best: Point | undefined }

/** Quality falls ever faster with CRF; in ln(101 − quality) it is nearly a line. */
const bend = (quality: number) => Math.log(101 - quality)

/** `crf` moved to the grid, never above it in quality terms: rounds down. */
export function snapDown(crf: number, grid: CrfGrid): number {
  const steps = Math.floor((crf - grid.min) / grid.step + 1e-9)
  const snapped = Math.round((grid.min + steps * grid.step) * 100) / 100
  return Math.min(grid.max, Math.max(grid.min, snapped))
}

/** Growth of ln(101 − quality) per CRF from one point to another; 0 for points of one CRF. */
const steepness = (a: Point, b: Point): number =>
  a.crf === b.crf ? 0 : (bend(b.quality) - bend(a.quality)) / (b.crf - a.crf)

/** What may be given away after so many points: perfection is worth a third encode, not a fifth. */
export function toleranceAfter(points: number, goal: SearchGoal): number {
  return goal.tolerance * (points < 3 ? 0.5 : 2 ** (points - 3))
}

/**
 * What to do after the points measured so far. The target is bracketed between the highest CRF that
 * passes and the lowest above it that fails; inside, the next CRF is interpolated. Each probe lands
 * strictly inside the bracket, so the search ends. Quality need not be monotone: a point above a
 * failing one is no candidate.
 */
export function nextStep(points: readonly Point[], goal: SearchGoal): SearchStep {
  if (points.length === 0) return { next: 'probe', crf: snapDown(goal.start, goal) }
  const sorted = [...points].sort((a, b) => a.crf - b.crf)
  const fail = sorted.find((point) => point.quality < goal.target)
  const pass = sorted.findLast(
    (point) => point.quality >= goal.target && (fail === undefined || point.crf < fail.crf),
  )
  if (pass !== undefined) {
    const close = pass.quality - goal.target <= toleranceAfter(points.length, goal)
    const noRoom = (fail?.crf ?? goal.max + goal.step) - pass.crf < 2 * goal.step - 1e-9
    if (close || noRoom) return { next: 'stop', best: pass }
  } else if (fail !== undefined && fail.crf <= goal.min) {
    return { next: 'stop', best: undefined }
  }
  const low = pass === undefined ? goal.min : pass.crf + goal.step
  const high = fail === undefined ? goal.max : fail.crf - goal.step
  const wanted = estimate(sorted, pass, fail, goal)
  return { next: 'probe', crf: Math.min(high, Math.max(low, snapDown(wanted, goal))) }
}

/** The CRF to try after these points, or the one that they end at. */
export function crfAfter(points: readonly Point[], goal: SearchGoal): number {
  const step = nextStep(points, goal)
  return step.next === 'probe' ? step.crf : (step.best?.crf ?? goal.min)
}

/** Where in the tolerance the next point should land. */
const AIM = 0.25
/** The same where a miss is wanted. */
const AIM_BELOW = -1.5
/** What a measured point is off a smooth curve, in ln(101 − quality): quality jumps with CRF. */
const NOISE = 0.012
/** What a line is off the curve, per distance to the target in ln(101 − quality). */
const CURVATURE = 0.1
/** What the expected slope is off, as a share of it. */
const SLOPE_DOUBT = 0.3
/** Tolerances above the target from which a point that passes is no answer yet: a tenth of the bytes. */
export const MAX_WASTE = 5
/** Standard deviations below the guess at which the last point is taken, when none is an answer. */
const CAUTION = 1.5

/**
 * Where a line through the points meets the target. Each counts the more the nearer it is, and the
 * slope expected from the clip counts until the points, which are not smooth, tell it better.
 */
function estimate(
  sorted: readonly Point[],
  pass: Point | undefined,
  fail: Point | undefined,
  goal: SearchGoal,
): number {
  // A little above the target: a miss by a hair costs a whole probe, a little too good costs bytes.
  const below = goal.mayMiss === true && pass !== undefined && fail === undefined
  const aim = bend(goal.target + goal.tolerance * (below ? AIM_BELOW : AIM))
  const marks = sorted.map(({ crf, quality }) => {
    const y = bend(quality)
    return { x: crf, y, weight: 1 / (NOISE ** 2 + (CURVATURE * (y - aim)) ** 2) }
  })
  const near = sorted.reduce((a, b) =>
    Math.abs(bend(b.quality) - aim) < Math.abs(bend(a.quality) - aim) ? b : a,
  )
  const expected = goal.slope(near)
  const sum = (of: (mark: (typeof marks)[number]) => number) =>
    marks.reduce((all, mark) => all + mark.weight * of(mark), 0)
  const weight = sum(() => 1)
  const x = sum((mark) => mark.x) / weight
  const y = sum((mark) => mark.y) / weight
  const prior = 1 / (SLOPE_DOUBT * expected) ** 2
  const spread = prior + sum((mark) => (mark.x - x) ** 2)
  const fitted = (prior * expected + sum((mark) => (mark.x - x) * (mark.y - y))) / spread
  const slope = Math.max(expected / 4, fitted)
  const guess = x + (aim - y) / slope
  const doubt = Math.sqrt(1 / weight + (guess - x) ** 2 / spread) / slope
  // With something to deliver there is nothing to lose.
  const isAnswer = pass !== undefined && pass.quality - goal.target <= MAX_WASTE * goal.tolerance
  const mustPass = !isAnswer && sorted.length + 1 >= goal.usual
  const wanted = mustPass ? guess - CAUTION * doubt : guess
  if (pass === undefined || fail === undefined) return wanted
  const inside = wanted > pass.crf && wanted < fail.crf
  return inside ? wanted : pass.crf + (aim - bend(pass.quality)) / steepness(pass, fail)
}

/** Growth of ln(101 − quality) per CRF between the outermost points; `otherwise` when they tell none. */
export function slopeOf(
  points: readonly Point[],
  otherwise: SearchGoal['slope'],
): SearchGoal['slope'] {
  const sorted = [...points].sort((a, b) => a.crf - b.crf)
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || last === undefined || first.crf === last.crf) return otherwise
  const slope = (bend(last.quality) - bend(first.quality)) / (last.crf - first.crf)
  return slope > 1e-4 ? () => slope : otherwise
}
