import { harmonicMean } from '../formulas/pooling.js'
import type { MetricSeries } from '../types.js'
import { MetricsError } from './errors.js'

/**
 * Pools per-frame values of one metric. `harmonicMean` is libvmaf's: n / Σ 1/(1+x) − 1, defined at zero
 * and pulled down by bad frames. Percentiles interpolate linearly between the nearest ranks.
 * Throws METRICS_NOT_FINITE; `frames` must not be empty.
 */
export function poolSeries(metric: string, frames: readonly number[]): MetricSeries {
  const bad = frames.findIndex((value) => !Number.isFinite(value))
  if (bad !== -1 || frames.length === 0) {
    throw new MetricsError(
      { code: 'METRICS_NOT_FINITE', metric, frame: bad },
      `${metric} of frame ${bad} is not a number`,
    )
  }
  const sorted = [...frames].sort((a, b) => a - b)
  const at = (share: number) => {
    const rank = share * (sorted.length - 1)
    const low = sorted[Math.floor(rank)] ?? 0
    const high = sorted[Math.ceil(rank)] ?? 0
    return low + (high - low) * (rank - Math.floor(rank))
  }
  const sum = frames.reduce((total, value) => total + value, 0)
  return {
    mean: sum / frames.length,
    harmonicMean: harmonicMean(frames),
    min: at(0),
    max: at(1),
    percentiles: { p1: at(0.01), p5: at(0.05), p10: at(0.1), p50: at(0.5) },
    frames,
  }
}

/**
 * VMAF's motion feature from per-frame differences to the previous reference frame: the smaller of a
 * frame's own and the next one's; the first frame has none, the last keeps its own. `sad[i]` may be
 * undefined only where `i + 1` is past the end.
 */
export function motionFeature(sad: ReadonlyMap<number, number>, frame: number): number {
  if (frame === 0) return 0
  const own = sad.get(frame) ?? 0
  const next = sad.get(frame + 1)
  return next === undefined ? own : Math.min(own, next)
}
