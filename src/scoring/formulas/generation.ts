import { clamp, mean } from './numbers.js'

/** Neza's numbers (subnet99/Neza 35814a6). */
export const GENERATION = {
  minCosine: 0.95,
  videoWeight: 0.8,
  audioWeight: 0.2,
  fullSpeedSeconds: 300,
  zeroSpeedSeconds: 600,
  unknownSpeed: 0.5,
  qualityWeight: 0.6,
  speedWeight: 0.4,
  /** Below this quality, speed counts as `poorSpeed`: a fast wrong answer is worth little. */
  minQuality: 0.9,
  poorSpeed: 0.2,
} as const

/** Frames of the clip that Neza's times are meant for: five seconds of WAN 2.1. */
export const REFERENCE_FRAMES = 81

/**
 * A time in seconds per frame, as the time that the reference clip would have taken: so that the speed
 * formula judges clips of every length alike. Undefined where the time or the frames are unknown.
 */
export function referenceSeconds(seconds: number | undefined, frames: number): number | undefined {
  return seconds === undefined || !(frames > 0) ? undefined : (seconds / frames) * REFERENCE_FRAMES
}

/** 1 up to 300 s, then linear to 0 at 600 s; 0.5 where the time is unknown. */
export function generationSpeed(seconds: number | undefined): number {
  if (seconds === undefined || !(seconds > 0)) return GENERATION.unknownSpeed
  return clamp(2 - seconds / GENERATION.fullSpeedSeconds, 0, 1)
}

/**
 * Likeness of a generated video to the validator's own run, from embedding cosines; either below
 * `minCosine` (0.95 unless calibrated) is 0. A reference without audio asks for none.
 */
export function videoSimilarity(
  videoCosine: number,
  audioCosine: number | undefined,
  minCosine: number = GENERATION.minCosine,
): number {
  const audio = audioCosine ?? 1
  if (!(videoCosine >= minCosine && audio >= minCosine)) return 0
  return GENERATION.videoWeight * videoCosine + GENERATION.audioWeight * audio
}

export interface PackageScore {
  readonly quality: number
  readonly speed: number
  /** In [0, 1]. */
  readonly final: number
}

/** Score of a whole answer: the mean of its files' scores, and how long it took. */
export function packageScore(
  fileScores: readonly number[],
  seconds: number | undefined,
): PackageScore {
  const quality = mean(fileScores)
  const speed = quality < GENERATION.minQuality ? GENERATION.poorSpeed : generationSpeed(seconds)
  return {
    quality,
    speed,
    final: GENERATION.qualityWeight * quality + GENERATION.speedWeight * speed,
  }
}
