import { z } from 'zod'
import { ModelStore } from '../../scoring/metrics/index.js'
import type { FrameFacts } from './analyse.js'
import type { Effort, Encoder } from './encoders.js'
import { snapDown } from './search.js'

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
