import { LruMap } from '../../lib/lru.js'
import type { Found } from './find-crf.js'
import type { LabOptions } from './lab.js'
import { crfAfter, type Point, type SearchGoal, slopeOf } from './search.js'

/** Contents that are remembered. */
const CONTENTS = 512

interface Memory {
  readonly points: Map<number, Point>
  /** By target: the CRF that was delivered. */
  readonly answers: Map<number, Point>
}

/** What was measured of contents before, so that the same clip is not searched from nothing again. */
export class ProbeMemory {
  readonly #known = new LruMap<string, Memory>(CONTENTS)

  /** Names everything that a point's quality depends on, besides its CRF; `content` is the hash of the file. */
  keyOf({ encoder, settings, objective }: LabOptions, content: string): string {
    const { effort, tuned, capKbps } = settings
    return [content, encoder.name, effort, tuned, capKbps, objective.pool, objective.model].join(
      ' ',
    )
  }

  keep(key: string, { target }: SearchGoal, { points, passed, candidate }: Found): void {
    const memory = this.#known.get(key) ?? { points: new Map(), answers: new Map() }
    for (const point of points) memory.points.set(point.crf, point)
    const answer = memory.points.get(candidate.crf)
    if (passed && answer !== undefined) memory.answers.set(target, answer)
    this.#known.set(key, memory)
  }

  /** The goal of a search that begins near what is known, or at the answer given before. */
  resume(key: string, goal: SearchGoal): SearchGoal {
    const memory = this.#known.get(key)
    if (memory === undefined) return goal
    const points = [...memory.points.values()]
    const slope = slopeOf(points, goal.slope)
    const answer = memory.answers.get(goal.target)
    if (answer !== undefined) {
      // What was given away after a whole search, at twice the patience, may be given away again.
      const tolerance = Math.max(goal.tolerance, 2 * (answer.quality - goal.target) + 1e-6)
      return { ...goal, start: answer.crf, sure: true, slope, tolerance }
    }
    const far = ({ quality }: Point) => Math.abs(quality - goal.target)
    const nearest = points.sort((a, b) => far(a) - far(b)).slice(0, 2)
    return { ...goal, start: crfAfter(nearest, { ...goal, slope }), slope }
  }
}
