import {
  GENERATION,
  packageScore,
  REFERENCE_FRAMES,
  referenceSeconds,
  videoSimilarity,
} from '../formulas/generation.js'
import type { GateOutcome } from '../types.js'
import { generationGate } from './gates.js'

/** How one file of a result compares with the same file of the rerun. */
export interface ComparedFile {
  /** Name in the package. */
  readonly name: string
  readonly kind: 'video' | 'image' | 'audio' | 'other'
  /** Of picture, where there is one; 1 for equal bytes. */
  readonly videoCosine?: number
  /** Of sound, where the rerun has sound and the embedder hears. */
  readonly audioCosine?: number
}

export interface GenerationVerdict {
  readonly score: number
  readonly reason: string
  readonly quality: number
  readonly speed: number
  readonly fileScores: readonly number[]
  readonly secondsPerFrame: number | undefined
}

/** What a file that is neither picture nor sound is worth: nothing can be said against it. */
const OTHER = 0.9

/** The worth of one file, 0–1. */
export function fileScore(file: ComparedFile, minCosine: number): number {
  const { kind, videoCosine, audioCosine } = file
  if (kind === 'other') return OTHER
  if (kind === 'audio') return audioCosine === undefined ? OTHER : Math.max(0, audioCosine)
  if (kind === 'image') return Math.max(0, videoCosine ?? 0)
  return videoSimilarity(videoCosine ?? 0, audioCosine, minCosine)
}

/**
 * The verdict from facts alone. A failed gate is 0, and so is a result of which no file is like the
 * rerun's: the reference would still pay such a one for its speed.
 */
export function judgeGeneration(facts: {
  readonly gates: readonly GateOutcome[]
  readonly files: readonly ComparedFile[]
  readonly minCosine: number
  readonly seconds: number | undefined
  /** Of the longest clip of the rerun; 1 where there are only pictures. */
  readonly frames: number
}): GenerationVerdict {
  const { gates, files, minCosine, seconds, frames } = facts
  const fileScores = files.map((file) => fileScore(file, minCosine))
  const { quality, speed, final } = packageScore(fileScores, referenceSeconds(seconds, frames))
  const secondsPerFrame = seconds === undefined ? undefined : seconds / frames
  const nothing = (reason: string) => ({
    ...{ score: 0, reason, quality: 0, speed, fileScores, secondsPerFrame },
  })
  const failed = gates.find((gate) => !gate.passed)
  if (failed !== undefined) return nothing(`${failed.code}: ${failed.detail}`)
  if (!(quality > 0)) {
    const best = Math.max(...files.map((file) => file.videoCosine ?? 0))
    return nothing(
      `nothing is like the rerun: the best cosine is ${best.toFixed(3)}, ${minCosine.toFixed(3)} is needed`,
    )
  }
  const pace = secondsPerFrame === undefined ? 'unknown' : secondsPerFrame.toFixed(2)
  const reason = `quality ${quality.toFixed(3)}, ${pace} s per frame (speed ${speed.toFixed(2)})`
  return { score: final, reason, quality, speed, fileScores, secondsPerFrame }
}

export const GENERATION_FORMULA = {
  name: 'neza-package',
  constants: { ...GENERATION, other: OTHER, referenceFrames: REFERENCE_FRAMES },
} as const

/** Numbers of files by node and list must be equal, for the lists that the rerun has. */
export function countGate(
  rerun: ReadonlyMap<string, number>,
  result: ReadonlyMap<string, number>,
): GateOutcome {
  for (const [key, wanted] of rerun) {
    const found = result.get(key) ?? 0
    if (found !== wanted) {
      const detail = `${found} file(s) of ${JSON.stringify(key).slice(0, 80)}, the rerun has ${wanted}`
      return generationGate('files', false, detail)
    }
  }
  return generationGate('files', true, `${[...rerun.values()].reduce((a, b) => a + b, 0)} file(s)`)
}
