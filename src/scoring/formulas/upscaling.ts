import { unit } from './numbers.js'

/** Every number of the upscaling formulas. */
export const UPSCALING = {
  /** PIE-APP at which quality is 0. */
  worstPieapp: 2,
  /** Seconds at which the length score is 1. */
  fullLengthSeconds: 320,
  qualityWeight: 0.5,
  lengthWeight: 0.5,
  base: 0.1,
  steepness: 6.979,
  centre: 0.5,
  /** Below this VMAF nothing is earned. */
  minVmaf: 50,
  /**
   * Likeness of fine detail as a multiple of plain bicubic's. Sharpened or not, filters reach 1.07 on
   * camera pictures and 1.05 on most; SPAN lies above 1.1 where the input is sound. docs/adr/0060.
   */
  filterDetail: 1.05,
  trueDetail: 1.1,
  /** Quality from which a gain over bicubic earns in full; below, length alone would pay. docs/adr/0071. */
  fullQuality: 0.1,
} as const

const pieappCurve = (p: number): number =>
  (1 - Math.log10(1 / (1 + Math.exp(-p)) + 1) / Math.log10(3.5)) ** 2.5

/**
 * Quality in [0, 1] from PIE-APP: 1 at 0, 0 at 2 and beyond.
 *
 * @example upscaleQuality(0.7) // 0.4727…
 */
export function upscaleQuality(pieapp: number): number {
  const best = pieappCurve(0)
  const worst = pieappCurve(UPSCALING.worstPieapp)
  return unit(1 - (pieappCurve(Math.abs(pieapp)) - best) / (worst - best))
}

/** Length score of a clip, ln(1+L)/ln(321): 0.31 at 5 s, 0.42 at 10 s, 1 at 320 s. */
export function lengthScore(seconds: number): number {
  return Math.log1p(Math.max(0, seconds)) / Math.log1p(UPSCALING.fullLengthSeconds)
}

export interface UpscaleScore {
  readonly quality: number
  readonly length: number
  /** Mean of quality and length; `undefined` where the VMAF gate closed. */
  readonly combined: number | undefined
  /** In [0, 1] for clips up to 320 s; 0.43 is the most a 10 s clip can earn. */
  readonly score: number
  readonly gate: 'ok' | 'vmaf_low'
}

/** From a quality in [0, 1], a length and a VMAF to Vidaio's final upscaling score. */
export function upscaleScoreFromQuality(input: {
  readonly quality: number
  readonly vmaf: number
  readonly contentLengthSeconds: number
}): UpscaleScore {
  if (!(input.vmaf / 100 >= UPSCALING.minVmaf / 100)) {
    return { quality: 0, length: 0, combined: undefined, score: 0, gate: 'vmaf_low' }
  }
  const quality = unit(input.quality)
  const length = lengthScore(input.contentLengthSeconds)
  const combined = UPSCALING.qualityWeight * quality + UPSCALING.lengthWeight * length
  const score = UPSCALING.base * Math.exp(UPSCALING.steepness * (combined - UPSCALING.centre))
  return { quality, length, combined, score, gate: 'ok' }
}

/** Vidaio's upscaling score with PIE-APP as the judge of quality (vidaio-subnet fea3779). */
export function upscaleScore(input: {
  readonly pieapp: number
  readonly vmaf: number
  readonly contentLengthSeconds: number
}): UpscaleScore {
  return upscaleScoreFromQuality({ ...input, quality: upscaleQuality(input.pieapp) })
}

/**
 * Class of an organic upscale: 3 better than its source, 2 clearly better than bicubic (5 %),
 * 1 better than bicubic, 0 not. The three CLIP-IQA values are of the output, the input and a
 * bicubic upscale of the input.
 */
export function organicUpscaleClass(input: {
  readonly vmaf: number
  readonly clipiqaOut: number
  readonly clipiqaRef: number
  readonly clipiqaBicubic: number
}): 0 | 1 | 2 | 3 {
  if (!(input.vmaf / 100 >= UPSCALING.minVmaf / 100)) return 0
  if (input.clipiqaOut > input.clipiqaRef) return 3
  if (input.clipiqaOut > input.clipiqaBicubic * 1.05) return 2
  return input.clipiqaOut > input.clipiqaBicubic ? 1 : 0
}
