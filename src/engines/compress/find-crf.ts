import { must } from '../../lib/errors.js'
import { type Candidate, isComplete, type Lab, pooled, thinned } from './lab.js'
import {
  MAX_WASTE,
  nextStep,
  type Point,
  type SearchGoal,
  snapDown,
  toleranceAfter,
} from './search.js'

/** Largest gain of VMAF over VMAF NEG that validators take for honest. */
const MAX_GAIN = 3
/** Frames between scored ones in a first look: odd, since an even step meets libvmaf's motion at the wrong frames. */
export const FIRST_LOOK = 3
/** Share of the bytes that a cap allows from which on more would not help. */
const FULL = 0.97
/** Tolerances from the target within which an encode is worth joining with another. */
const NEAR = 6

export interface FindOptions {
  readonly goal: SearchGoal
  /** Whether there is time for one more step expected to take so long. */
  readonly mayTake: (ms: number) => boolean
  /** Most encodes of this source. */
  readonly maxEncodes: number
  /** Larger files break the rate cap, however good they are. */
  readonly maxSizeBytes?: number | undefined
  /** Whether the encodes made so far will do together, within so much above the target: ends the search. */
  readonly isClose?: ((tolerance: number) => Promise<boolean>) | undefined
}

export interface Found {
  /** What to deliver: the cheapest that passed, or the best when none did. */
  readonly candidate: Candidate
  /** Of the whole file, in the objective's pool and model; undefined when time ran out before. */
  readonly quality: number | undefined
  readonly passed: boolean
  readonly points: readonly Point[]
}

/** A score of the whole clip, lowered below the target when the gain over NEG is suspicious. */
export function judged(lab: Lab, candidate: Candidate, target: number): number | undefined {
  const whole = candidate.measured.get(1)
  if (whole === undefined) return undefined
  const quality = pooled(whole, lab.options.objective)
  const { objective } = lab.options
  // Whoever asks for the plain model takes its gains as they come.
  if (!isComplete(candidate) || objective.model === 'base') return quality
  const gain =
    pooled(whole, { ...lab.options.objective, model: 'base' }) -
    pooled(whole, { ...lab.options.objective, model: 'neg' })
  return gain > MAX_GAIN ? Math.min(quality, target - (gain - MAX_GAIN)) : quality
}

/**
 * Searches the highest CRF whose encode, measured whole, meets the target. The first look scores a
 * part of the frames; how far such a look is off is learned from whole measurements. Ends early when time or encodes run out, with the best so far.
 */
export async function findCrf(lab: Lab, options: FindOptions): Promise<Found> {
  const { goal, mayTake } = options
  for (;;) {
    const points = knownPoints(lab, options)
    const step = nextStep(points, goal)
    if (step.next === 'stop') {
      if (step.best === undefined) return finish(lab, points, options)
      const doubtful = doubt(lab, points, step.best, goal)
      if (doubtful !== undefined && mayTake(lab.measureMs)) {
        await lab.measure(doubtful, 1)
        continue
      }
      const ended = finish(lab, points, options)
      // What is put together is measured whole anyway.
      if (isComplete(ended.candidate) || (await options.isClose?.(Number.POSITIVE_INFINITY))) {
        return ended
      }
      if (!mayTake(lab.measureMs)) return ended
      await lab.complete(ended.candidate.crf)
      continue
    }
    if (await options.isClose?.(goal.tolerance / 2)) return finish(lab, points, options)
    const half = options.isClose && halfKnown(lab, points, goal)
    if (half !== undefined && mayTake(lab.measureMs)) {
      await lab.measure(half, 1)
      continue
    }
    if (points.length > 0 && ((await isEnough(lab, points, options)) || !mayTake(lab.probeMs))) {
      const ended = finish(lab, points, options)
      if (await options.isClose?.(Number.POSITIVE_INFINITY)) return ended
      if (mayTake(lab.measureMs)) await lab.complete(ended.candidate.crf)
      return finish(lab, knownPoints(lab, options), options)
    }
    // Two models cost nearly twice as much as one: only what is delivered is seen by both.
    if (goal.sure) await lab.complete(step.crf)
    else await lab.measure(step.crf, points.length === 0 ? FIRST_LOOK : 1)
  }
}

/** The encode that a search begins with, and what a part of its frames says. */
export async function firstLook(lab: Lab, options: FindOptions): Promise<Point> {
  const crf = snapDown(options.goal.start, options.goal)
  await lab.measure(crf, FIRST_LOOK)
  return must(knownPoints(lab, options)[0], 'the point just measured')
}

/** No more encodes: at the limit, or at the usual number with something to deliver that wastes little. */
async function isEnough(
  lab: Lab,
  points: readonly Point[],
  options: FindOptions,
): Promise<boolean> {
  const { goal, maxEncodes, isClose } = options
  if (lab.encodes >= maxEncodes || fillsTheCap(lab, points, options)) return true
  if (lab.encodes < goal.usual) return false
  const little = MAX_WASTE * goal.tolerance
  const found = lab.candidates.some((candidate) => {
    const above = (judged(lab, candidate, goal.target) ?? 0) - goal.target
    return above >= 0 && above <= little
  })
  return found || ((await isClose?.(little)) ?? false)
}

/** Whether an encode misses the target with all the bytes that the cap allows: none will meet it. */
function fillsTheCap(
  lab: Lab,
  points: readonly Point[],
  { goal, maxSizeBytes: most = Number.POSITIVE_INFINITY }: FindOptions,
): boolean {
  const missed = new Set(
    points.filter(({ quality }) => quality < goal.target).map(({ crf }) => crf),
  )
  return lab.candidates.some(
    ({ crf, sizeBytes }) => sizeBytes <= most && sizeBytes > FULL * most && missed.has(crf),
  )
}

/** An encode, only looked at in part, that together with another may do: cheaper to measure than a new one to make. */
function halfKnown(lab: Lab, points: readonly Point[], goal: SearchGoal): number | undefined {
  const isPass = ({ quality }: Point) => quality >= goal.target
  if (!points.some(isPass) || points.every(isPass)) return undefined
  const near = points.filter(
    ({ quality }) => Math.abs(quality - goal.target) <= NEAR * goal.tolerance,
  )
  return near.find(({ crf }) => !lab.candidates.find((one) => one.crf === crf)?.measured.has(1))
    ?.crf
}

/** The CRF whose whole measurement could change the outcome: the best, or the miss that stopped a better one. */
function doubt(
  lab: Lab,
  points: readonly Point[],
  best: Point,
  goal: SearchGoal,
): number | undefined {
  const isWhole = (crf: number) =>
    lab.candidates.find((one) => one.crf === crf)?.measured.has(1) ?? false
  if (!isWhole(best.crf)) return best.crf
  if (best.quality - goal.target <= toleranceAfter(points.length, goal)) return undefined
  const above = points.filter((point) => point.crf > best.crf).sort((a, b) => a.crf - b.crf)[0]
  return above === undefined || isWhole(above.crf) ? undefined : above.crf
}

function knownPoints(lab: Lab, { goal, maxSizeBytes = Infinity }: FindOptions): readonly Point[] {
  const { objective } = lab.options
  const errors = lab.candidates.flatMap(({ measured }) => {
    const whole = measured.get(1)
    if (whole === undefined) return []
    return [pooled(whole, objective) - pooled(thinned(whole, FIRST_LOOK), objective)]
  })
  const error = errors.reduce((sum, each) => sum + each, 0) / Math.max(1, errors.length)
  return lab.candidates.flatMap((candidate) => {
    // Too many bits: whatever its quality, the search must go to higher CRFs.
    if (candidate.sizeBytes > maxSizeBytes) return [{ crf: candidate.crf, quality: 100 }]
    const whole = judged(lab, candidate, goal.target)
    if (whole !== undefined) return [{ crf: candidate.crf, quality: whole }]
    const look = candidate.measured.get(FIRST_LOOK)
    if (look === undefined) return []
    return [{ crf: candidate.crf, quality: pooled(look, objective) + error }]
  })
}

function finish(
  lab: Lab,
  points: readonly Point[],
  { goal: { target }, maxSizeBytes = Infinity }: FindOptions,
): Found {
  const rated = lab.candidates.map((candidate) => ({
    candidate,
    quality: judged(lab, candidate, target),
    guess: points.find((point) => point.crf === candidate.crf)?.quality ?? 0,
  }))
  const fitting = rated.filter(({ candidate }) => candidate.sizeBytes <= maxSizeBytes)
  const passing = fitting
    .filter(({ quality }) => quality !== undefined && quality >= target)
    .sort((a, b) => a.candidate.sizeBytes - b.candidate.sizeBytes)
  const smallest = [...rated].sort((a, b) => a.candidate.sizeBytes - b.candidate.sizeBytes)[0]
  const best = passing[0] ?? fitting.sort((a, b) => b.guess - a.guess)[0] ?? smallest
  if (best === undefined) throw new RangeError('a search ended before its first encode')
  return {
    candidate: best.candidate,
    quality: best.quality,
    passed: passing.length > 0,
    points,
  }
}
