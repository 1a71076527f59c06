import { z } from 'zod'
import { ModelStore } from '../../scoring/metrics/index.js'
import type { FrameFacts } from './analyse.js'
import type { Effort, Encoder } from './encoders.js'
import { snapDown } from './search.js'

/** What a clip is like, as numbers that a linear model takes. */
export type Features = readonly number[]

const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

/** Features of a run of frames: logarithms of texture, contrast, motion and their ratio, and the size. */
export function featuresOf(facts: readonly FrameFacts[], pixels: number): Features {
  const detail = Math.log(0.2 + mean(facts.map((frame) => frame.detail)))
  const contrast = Math.log(0.5 + mean(facts.map((frame) => frame.contrast)))
  const motion = Math.log(0.2 + mean(facts.slice(1).map((frame) => frame.motion)))
  return [detail, contrast, motion, detail - contrast, motion - contrast, Math.log2(pixels) - 18]
}

/** Terms of the model for a clip and a target quality, 0–100. The first is the constant. */
export function terms(features: Features, target: number): readonly number[] {
  const bend = Math.log(101 - target) - 2.4
  const [detail = 0, contrast = 0, motion = 0, fineness = 0, liveliness = 0, size = 0] = features
  return [
    ...[1, bend, bend * bend, detail, contrast, motion, size],
    ...[fineness * fineness, liveliness * liveliness, detail * motion],
    ...[bend * detail, bend * motion, bend * fineness, bend * liveliness],
  ]
}

const MODEL = z.object({
  encoders: z.record(
    z.string(),
    z.object({
      weights: z.array(z.number()),
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

/** Where a search should start, and how steep quality falls there. */
export interface Start {
  readonly start: number
  readonly slope: number
}

/** The CRF that should meet `target`, on the encoder's grid; the encoder's own start when it is unknown. */
export function predictStart(
  model: CrfModel,
  encoder: Encoder,
  effort: Effort,
  features: Features,
  target: number,
): Start {
  const known = model.encoders[encoder.name]
  if (known === undefined) return { start: encoder.start, slope: encoder.slope }
  const crf = terms(features, target).reduce((sum, x, i) => sum + x * (known.weights[i] ?? 0), 0)
  return { start: snapDown(crf + known.efforts[effort], encoder.grid), slope: known.slope }
}
