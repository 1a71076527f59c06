import { mean, sum } from './numbers.js'

/**
 * libvmaf's harmonic mean, n / Σ 1/(1+x) − 1: every frame counts, a black frame (0) most of all.
 *
 * @param frames per-frame scores, each ≥ 0
 * @returns 0 for no frames
 * @example harmonicMean([90, 92, 0, 95]) // 2.875…
 */
export function harmonicMean(frames: readonly number[]): number {
  if (frames.length === 0) return 0
  return frames.length / sum(frames.map((x) => 1 / (1 + Math.max(0, x)))) - 1
}

/**
 * What the reference's CUDA path computes (vidaio-subnet fea3779, services/scoring/vmaf_metric.py):
 * frames at or below 0 are dropped first, so black frames are free. Kept for comparison with
 * validators that run it; see docs/adr/0035.
 */
export function harmonicMeanDroppingZeros(frames: readonly number[]): number {
  const kept = frames.filter((x) => x > 0)
  return kept.length === 0 ? 0 : kept.length / sum(kept.map((x) => 1 / x))
}

/** PIE-APP of a clip: mean of |frame|, at most 2; no frames count as the worst. */
export function pieappAggregate(frames: readonly number[]): number {
  return frames.length === 0 ? 2 : Math.min(2, mean(frames.map(Math.abs)))
}
