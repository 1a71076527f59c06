import { clamp, unit } from './numbers.js'

export type CompressionZone = 'no_compression' | 'below_cutoff' | 'soft' | 'above'

export interface CompressionInput {
  /** VMAF NEG, pooled harmonically, 0–100. */
  readonly vmaf: number
  /** Bytes out / bytes in, above 0. */
  readonly rate: number
  /** The VMAF asked for, 0–100. */
  readonly threshold: number
}

export interface CompressionScore {
  /** In [0, 1]. */
  readonly score: number
  /** The size part; 1 at a ratio of 20, a little more beyond. */
  readonly compression: number
  /** The quality part, in [0, 1]; 0.7 at the threshold. */
  readonly quality: number
  readonly zone: CompressionZone
}

/** Every number of both compression formulas. */
export const COMPRESSION = {
  /** At or above this rate nothing was compressed. */
  maxRate: 0.8,
  /** Points of VMAF below the threshold that still earn something. */
  softMargin: 5,
  qualityAtThreshold: 0.7,
  compressionWeight: 0.7,
  qualityWeight: 0.3,
  minRatio: 1.25,
  /** The ratio whose size part is 1. */
  fullRatio: 20,
  normaliser: 1.12,
} as const

const nothing = (zone: CompressionZone): CompressionScore => ({
  score: 0,
  compression: 0,
  quality: 0,
  zone,
})

function zoneOf({ vmaf, rate, threshold }: CompressionInput): CompressionZone {
  if (!(rate > 0 && rate < COMPRESSION.maxRate)) return 'no_compression'
  if (!(vmaf >= threshold - COMPRESSION.softMargin)) return 'below_cutoff'
  return vmaf < threshold ? 'soft' : 'above'
}

function qualityAbove(vmaf: number, threshold: number): number {
  if (threshold >= 100) return 1
  const share = (vmaf - threshold) / (100 - threshold)
  return COMPRESSION.qualityAtThreshold + (1 - COMPRESSION.qualityAtThreshold) * share
}

function sizeAbove(ratio: number): number {
  const { fullRatio, minRatio } = COMPRESSION
  if (ratio > fullRatio) return 1 + 0.1 * Math.log(ratio / fullRatio)
  return Math.max(0, (ratio - minRatio) / (fullRatio - minRatio)) ** 0.9
}

/**
 * Vidaio's compression score (vidaio-subnet fea3779, services/scoring/scoring_function.py).
 * It jumps at the threshold: see {@link continuousCompressionScore} and docs/adr/0038.
 *
 * @returns score in [0, 1]; any NaN scores 0
 * @example compressionScore({ vmaf: 95, rate: 0.05, threshold: 89 }).score // 0.856…
 */
export function compressionScore(input: CompressionInput): CompressionScore {
  const zone = zoneOf(input)
  if (zone === 'no_compression' || zone === 'below_cutoff') return nothing(zone)
  const { softMargin, qualityAtThreshold, fullRatio, normaliser } = COMPRESSION
  const ratio = 1 / input.rate
  if (zone === 'soft') {
    const position = (input.vmaf - (input.threshold - softMargin)) / softMargin
    const quality = qualityAtThreshold * position ** 2
    const compression =
      ratio <= fullRatio
        ? ((ratio - 1) / (fullRatio - 1)) ** 1.5
        : 1 + 0.3 * Math.log(ratio / fullRatio)
    return { score: unit((compression * quality) / normaliser), compression, quality, zone }
  }
  const quality = qualityAbove(input.vmaf, input.threshold)
  const compression = sizeAbove(ratio)
  const weighted = COMPRESSION.compressionWeight * compression + COMPRESSION.qualityWeight * quality
  return { score: unit(weighted / normaliser), compression, quality, zone }
}

/**
 * The same judgement without cliffs: continuous everywhere, never lower for more quality or fewer
 * bytes, 0 where nothing was compressed. Equal to {@link compressionScore} at and above the
 * threshold from a ratio of 2.5 on; below the threshold it fades to 0 over the same 5 points.
 *
 * @returns score in [0, 1]; any NaN scores 0
 * @example continuousCompressionScore({ vmaf: 88.999, rate: 0.1, threshold: 89 }).score // 0.502
 */
export function continuousCompressionScore(input: CompressionInput): CompressionScore {
  const zone = zoneOf(input)
  if (zone === 'no_compression' || zone === 'below_cutoff') return nothing(zone)
  const { softMargin, minRatio, qualityAtThreshold, normaliser } = COMPRESSION
  const ratio = 1 / input.rate
  const position = clamp((input.vmaf - (input.threshold - softMargin)) / softMargin, 0, 1)
  const fade = position ** 2
  const quality =
    zone === 'above' ? qualityAbove(input.vmaf, input.threshold) : qualityAtThreshold * fade
  const compression = sizeAbove(ratio)
  // Quality earns its part only as far as there is compression: a copy of the input is worth 0.
  const earned = clamp((ratio - minRatio) / minRatio, 0, 1)
  const weighted =
    COMPRESSION.compressionWeight * compression + COMPRESSION.qualityWeight * quality * earned
  return { score: unit((fade * weighted) / normaliser), compression, quality, zone }
}

/** The formulas by the names that score records carry. */
export const COMPRESSION_FORMULAS = {
  'vidaio-compression': compressionScore,
  'continuous-compression': continuousCompressionScore,
} as const

export type CompressionFormula = keyof typeof COMPRESSION_FORMULAS
