import { sha256OfFile } from '../../lib/hash.js'
import { LruMap } from '../../lib/lru.js'
import type { LabOptions } from './lab.js'
import { nextStep, type Point, type SearchGoal, slopeOf } from './search.js'

/** Searches that are remembered. */
const SEARCHES = 512

/** What was measured of contents before, so that the same clip is not searched from nothing again. */
export class ProbeMemory {
  readonly #points = new LruMap<string, readonly Point[]>(SEARCHES)

  /** Names everything that a point's quality depends on, besides its CRF. */
  async keyOf({ source, encoder, settings, objective, signal }: LabOptions): Promise<string> {
    const { effort, capKbps } = settings
    const content = await sha256OfFile(source.path, signal)
    return [content, encoder.name, effort, capKbps, objective.pool, objective.model].join(' ')
  }

  keep(key: string, points: readonly Point[]): void {
    const known = new Map((this.#points.get(key) ?? []).map((point) => [point.crf, point]))
    for (const point of points) known.set(point.crf, point)
    this.#points.set(key, [...known.values()])
  }

  /** The goal of a search that begins where an earlier one would go on, or where it ended. */
  resume(key: string, goal: SearchGoal): SearchGoal {
    const points = this.#points.get(key) ?? []
    if (points.length === 0) return goal
    const slope = slopeOf(points, goal.slope)
    const step = nextStep(points, goal)
    const passed = points.filter(({ quality }) => quality >= goal.target)
    const [best] = passed.sort((a, b) => b.crf - a.crf)
    const over = step.next === 'stop' || points.length >= goal.usual
    if (over && best !== undefined) {
      // It ended there before: what it gave away then, at twice the patience, it may give away again.
      const tolerance = Math.max(goal.tolerance, 2 * (best.quality - goal.target) + 1e-6)
      return { ...goal, start: best.crf, sure: true, slope, tolerance }
    }
    return { ...goal, start: step.next === 'probe' ? step.crf : goal.min, slope }
  }
}
