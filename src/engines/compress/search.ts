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
  /** Quality above the target that ends the search; doubled with each point beyond the second. */
  readonly tolerance: number
  /** First CRF to try. */
  readonly start: number
  /** Growth of ln(101 − quality) per CRF, until two points say better. */
  readonly slope: number
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

/** CRF at which the line through two points meets the quality; undefined when they tell no slope. */
function crossing(a: Point, b: Point, quality: number): number | undefined {
  const rise = bend(b.quality) - bend(a.quality)
  const run = b.crf - a.crf
  if (run === 0 || rise / run <= 1e-4) return undefined
  return a.crf + ((bend(quality) - bend(a.quality)) * run) / rise
}

/** Inverse quadratic interpolation through three points, when it stays between `low` and `high`. */
function curve(points: readonly Point[], quality: number): number | undefined {
  const [a, b, c] = points
  if (a === undefined || b === undefined || c === undefined) return undefined
  const [p, q, r, y] = [bend(a.quality), bend(b.quality), bend(c.quality), bend(quality)]
  if (p === q || q === r || p === r) return undefined
  return (
    (a.crf * (y - q) * (y - r)) / ((p - q) * (p - r)) +
    (b.crf * (y - p) * (y - r)) / ((q - p) * (q - r)) +
    (c.crf * (y - p) * (y - q)) / ((r - p) * (r - q))
  )
}

/** What may be given away after so many points: perfection is not worth an encode. */
export function toleranceAfter(points: number, goal: SearchGoal): number {
  return goal.tolerance * 2 ** Math.max(0, points - 2)
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

function estimate(
  sorted: readonly Point[],
  pass: Point | undefined,
  fail: Point | undefined,
  goal: SearchGoal,
): number {
  // A little above the target: a miss by a hair costs a whole probe, a little too good costs bytes.
  const aim = goal.target + goal.tolerance / 3
  if (pass !== undefined && fail !== undefined) {
    const third = sorted.find((point) => point !== pass && point !== fail)
    const bent = third === undefined ? undefined : curve([pass, fail, third], aim)
    if (bent !== undefined && bent > pass.crf && bent < fail.crf) return bent
    return crossing(pass, fail, aim) ?? (pass.crf + fail.crf) / 2
  }
  // All points on one side: the slope of the two nearest to the target, or the expected one.
  const near = pass ?? fail
  const side = pass === undefined ? sorted.slice(0, 2) : sorted.slice(-2)
  const [a, b] = side
  const byPoints = a !== undefined && b !== undefined ? crossing(a, b, aim) : undefined
  if (byPoints !== undefined) return byPoints
  if (near === undefined) return goal.start
  return near.crf + (bend(aim) - bend(near.quality)) / goal.slope
}

/** Quality expected at `crf` from measured points: on the line of the two nearest, else by `slope`. */
export function qualityAt(points: readonly Point[], crf: number, slope: number): number {
  const near = [...points].sort((a, b) => Math.abs(a.crf - crf) - Math.abs(b.crf - crf))
  const [a, b] = near
  if (a === undefined) return Number.NaN
  const measured =
    b === undefined || a.crf === b.crf
      ? slope
      : (bend(b.quality) - bend(a.quality)) / (b.crf - a.crf)
  const used = measured > 1e-4 ? measured : slope
  return 101 - Math.exp(bend(a.quality) + used * (crf - a.crf))
}

/** Growth of ln(101 − quality) per CRF between the outermost points; undefined when they tell none. */
export function slopeOf(points: readonly Point[]): number | undefined {
  const sorted = [...points].sort((a, b) => a.crf - b.crf)
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || last === undefined || first.crf === last.crf) return undefined
  const slope = (bend(last.quality) - bend(first.quality)) / (last.crf - first.crf)
  return slope > 1e-4 ? slope : undefined
}
