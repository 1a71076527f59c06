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

/** Where in the tolerance the next point should land. */
const AIM = 0.25
/** Share of the way from the nearest point by which a guess may be off. */
const DOUBT = 0.15
/** What a guess may be off however near it is, in ln(101 − quality): quality is not smooth in CRF. */
const LEAST_DOUBT = 0.01

function estimate(
  sorted: readonly Point[],
  pass: Point | undefined,
  fail: Point | undefined,
  goal: SearchGoal,
): number {
  // A little above the target: a miss by a hair costs a whole probe, a little too good costs bytes.
  const aim = bend(goal.target + goal.tolerance * AIM)
  const last = sorted.length + 1 === goal.usual
  const oneSided = pass === undefined || fail === undefined
  const far = (point: Point) => Math.abs(bend(point.quality) - aim)
  const byNearness = [...sorted].sort((a, b) => far(a) - far(b))
  const near = oneSided ? (pass ?? fail) : byNearness[0]
  if (near === undefined) return goal.start
  const next = byNearness.find((point) => point !== near)
  const guess = (slope: number) => near.crf + (aim - bend(near.quality)) / slope
  const seen = next === undefined ? 0 : steepness(near, next)
  if (oneSided) {
    const expected = goal.slope(near)
    // What lies ahead is steeper or flatter than what lies behind: between what was seen and the usual.
    const slope = seen > 1e-4 ? Math.sqrt(seen * expected) : expected
    return guess(slope) - (last && fail !== undefined ? LEAST_DOUBT / slope : 0)
  }
  const local = guess(seen)
  const between = local > pass.crf && local < fail.crf ? local : guess(steepness(pass, fail))
  if (!last) return between
  const slope = steepness(pass, fail)
  return between - Math.max(DOUBT * Math.abs(between - near.crf), LEAST_DOUBT / slope)
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
