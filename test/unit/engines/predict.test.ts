import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { ENCODERS, type Encoder } from '#src/engines/compress/encoders.js'
import { loadCrfModel, predictStart, type Start } from '#src/engines/compress/predict.js'
import { nextStep, type Point } from '#src/engines/compress/search.js'

interface Curve {
  readonly encoder: string
  readonly effort: string
  readonly features: { readonly fineness: number; readonly liveliness: number }
  readonly points: readonly (readonly [crf: number, quality: number, bytes: number])[]
}

const path = new URL('../../../../models/crf/curves.json', import.meta.url)
const curves = JSON.parse(readFileSync(path, 'utf8')) as readonly Curve[]

const bend = (quality: number) => Math.log(101 - quality)

/** Quality on a measured curve: a line in ln(101 − quality) through the two points nearest to the CRF. */
function qualityAt(points: readonly Point[], crf: number): number {
  const [a, b] = [...points].sort((x, y) => Math.abs(x.crf - crf) - Math.abs(y.crf - crf))
  assert.ok(a !== undefined && b !== undefined)
  const slope = (bend(b.quality) - bend(a.quality)) / (b.crf - a.crf)
  return 101 - Math.exp(bend(a.quality) + Math.max(slope, 0.01) * (crf - a.crf))
}

function probes(curve: Curve, encoder: Encoder, target: number, { start, slope }: Start) {
  const known: Point[] = []
  const measured = curve.points.map(([crf, quality]) => ({ crf, quality }))
  for (;;) {
    const goal = { ...encoder.grid, target, tolerance: 0.3, usual: 4, start, slope }
    const step = nextStep(known, goal)
    if (step.next === 'stop') return known.length
    known.push({ crf: step.crf, quality: qualityAt(measured, step.crf) })
  }
}

for (const encoder of ENCODERS.filter(({ hardware }) => !hardware)) {
  test(`${encoder.name}: the predicted start needs fewer probes than a fixed one`, async () => {
    const model = await loadCrfModel()
    let fixed = 0
    let predicted = 0
    for (const curve of curves.filter((one) => one.encoder === encoder.name)) {
      if (curve.effort !== 'normal') continue
      for (const target of [85, 90, 95]) {
        const flat = { start: encoder.start, slope: () => encoder.slope }
        fixed += probes(curve, encoder, target, flat)
        const start = predictStart(model, encoder, 'normal', curve.features, target)
        predicted += probes(curve, encoder, target, start)
      }
    }
    assert.ok(
      predicted < fixed,
      `${predicted} probes from a predicted start, ${fixed} from a fixed`,
    )
  })
}
