import { z } from 'zod'
import { clamp, mean } from '../formulas/numbers.js'

/**
 * Cosines of honest reruns: the same workflow on the validator's graphics card and on another, as one
 * embedder sees them. Cards and drivers round differently, so honest clips differ a little.
 */
export const calibrationSchema = z.array(
  z.object({
    embedder: z.string(),
    /** Names as ComfyUI reports them; in either order. */
    gpus: z.tuple([z.string(), z.string()]),
    cosines: z.array(z.number().min(-1).max(1)),
  }),
)
export type Calibration = z.output<typeof calibrationSchema>

export const CALIBRATION = {
  /** Without enough samples: subnet 99's. */
  defaultCosine: 0.95,
  minSamples: 8,
  /** How far below the mean an honest clip may fall, in standard deviations. */
  deviations: 4,
  margin: 0.005,
  /** No pair is trusted with less: the miner's card is a claim of the miner's. */
  lowest: 0.85,
  /** None is held to more: a driver's update must not fail everybody. */
  highest: 0.99,
} as const

export interface Threshold {
  /** Cosines below it are worth nothing. */
  readonly minCosine: number
  /** Cosines it was learnt from; 0 for the default. */
  readonly samples: number
}

/** The least cosine an honest clip has, for a pair of cards. Pure. */
export function thresholdFor(
  calibration: Calibration,
  pair: {
    readonly embedder: string
    readonly validatorGpu: string | undefined
    readonly minerGpu: string | undefined
  },
): Threshold {
  const { validatorGpu, minerGpu } = pair
  const wanted = [validatorGpu, minerGpu].sort().join('\n')
  const cosines = calibration
    .filter(({ embedder, gpus }) => {
      return embedder === pair.embedder && [...gpus].sort().join('\n') === wanted
    })
    .flatMap((row) => row.cosines)
  const { minSamples, defaultCosine, deviations, margin, lowest, highest } = CALIBRATION
  const known = validatorGpu !== undefined && minerGpu !== undefined
  if (!known || cosines.length < minSamples) return { minCosine: defaultCosine, samples: 0 }
  const middle = mean(cosines)
  const deviation = Math.sqrt(mean(cosines.map((cosine) => (cosine - middle) ** 2)))
  const least = Math.min(...cosines, middle - deviations * deviation) - margin
  return { minCosine: clamp(least, lowest, highest), samples: cosines.length }
}
