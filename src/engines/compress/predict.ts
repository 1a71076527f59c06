import { z } from 'zod'
import { ModelStore } from '../../scoring/metrics/index.js'
import type { FrameFacts } from './analyse.js'
import type { Effort, Encoder } from './encoders.js'
import { type Point, snapDown } from './search.js'

/** What a clip is like: how fine its detail is and how much moves, each against its contrast, as logarithms. */
export interface Features {
  readonly fineness: number
  readonly liveliness: number
}

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

export function featuresOf(facts: readonly FrameFacts[]): Features {
  const contrast = Math.log(0.5 + mean(facts.map((frame) => frame.contrast)))
  return {
    fineness: Math.log(0.2 + mean(facts.map((frame) => frame.detail))) - contrast,
    liveliness: Math.log(0.2 + mean(facts.slice(1).map((frame) => frame.motion))) - contrast,
  }
}

/** Terms of the linear model for a clip and a target quality, 0–100. The first is the constant. */
export function terms({ fineness, liveliness }: Features, target: number): readonly number[] {
  const bend = Math.log(101 - target) - 2.4
  return [1, bend, bend * bend, fineness + 1.7, liveliness + 1.7]
}

/** Terms of the model for how steep quality falls between a measured point and a target, as a logarithm. */
export function slopeTerms(
  { fineness, liveliness }: Features,
  point: Point,
  target: number,
): readonly number[] {
  return [
    1,
    Math.log(101 - point.quality) - 2.4,
    Math.log(101 - target) - 2.4,
    point.crf / 10 - 3,
    fineness + 1.7,
    liveliness + 1.7,
  ]
}

const MODEL = z.object({
  encoders: z.record(
    z.string(),
    z.object({
      weights: z.array(z.number()),
      slopeWeights: z.array(z.number()),
      slope: z.number().positive(),
      efforts: z.object({ quick: z.number(), normal: z.number(), thorough: z.number() }),
    }),
  ),
})
export type CrfModel = z.infer<typeof MODEL>

/** The shipped model, trained by scripts/models/crf.mjs. */
export async function loadCrfModel(): Promise<CrfModel> {
  const store = await ModelStore.open()
  return MODEL.parse(JSON.parse((await store.read('crf_start')).toString('utf8')))
}

/** Where a search should start, and how steep quality falls from a first point towards the target. */
export interface Start {
  readonly start: number
  readonly slope: (point: Point) => number
}

/** What VMAF NEG usually is where VMAF is `base`; the model was trained on NEG. */
export const negAt = (base: number): number => base - 0.9 - 0.12 * (100 - base)

const dot = (x: readonly number[], weights: readonly number[]) =>
  x.reduce((sum, value, i) => sum + value * (weights[i] ?? 0), 0)

/** No clip seen was flatter or steeper than its encoder's usual slope times this. */
const SLOPE_RANGE = 3

/** The CRF that should meet `target`, on the encoder's grid; the encoder's own start when it is unknown. */
export function predictStart(
  model: CrfModel,
  encoder: Encoder,
  effort: Effort,
  features: Features,
  target: number,
): Start {
  const known = model.encoders[encoder.name]
  if (known === undefined) return { start: encoder.start, slope: () => encoder.slope }
  const { weights, slopeWeights, slope, efforts } = known
  const shift = efforts[effort]
  return {
    start: snapDown(dot(terms(features, target), weights) + shift, encoder.grid),
    slope: ({ crf, quality }) => {
      const usual = { crf: crf - shift, quality }
      const steep = Math.exp(dot(slopeTerms(features, usual, target), slopeWeights))
      return Math.min(slope * SLOPE_RANGE, Math.max(slope / SLOPE_RANGE, steep))
    },
  }
}
