// Scores of libvmaf 86da14d for our clips (test/fixtures/vmaf/README.md), replayed.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import type { MetricSeries, VmafScorer } from '#src/scoring/types.js'

const fixtures = fileURLToPath(new URL('../../../../test/fixtures/', import.meta.url))
const clip = (name: string) => join(fixtures, 'media', name)

interface Golden {
  readonly distorted: string
  readonly pooled: Record<'vmaf' | 'vmaf_neg', { mean: number; harmonic_mean: number; min: number }>
  readonly frames: readonly { readonly vmaf: number; readonly vmaf_neg: number }[]
}
const golden = (name: string): Golden =>
  JSON.parse(readFileSync(join(fixtures, 'vmaf', `${name}.json`), 'utf8'))

/** Per frame at most 0.06, 0.004 on average over all; 0.01 pooled. */
const MAX_FRAME = 0.06
const MAX_MEAN = 0.004
const MAX_POOLED = 0.01

// One reference per row; every kind of distortion once or more. The whole set is in bench/vmaf.
const CASES: Readonly<Record<string, readonly string[]>> = {
  'flattitle.ref.mp4': ['flattitle.identical', 'flattitle.blur', 'flattitle.unsharp'],
  'texturepan.ref.mp4': ['texturepan.contrast', 'texturepan.scaled'],
  'launch.ref.mp4': ['launch.crf23', 'launch.bright', 'launch.freeze', 'launch.sharpcrf'],
  'bbb480.ref.mp4': ['bbb480.crf40'],
}

describe('VMAF against libvmaf', () => {
  let scorer: VmafScorer
  const errors: number[] = []

  before(async () => {
    scorer = await createVmafScorer({ device: 'cpu' })
  })
  after(() => scorer.close())

  function compare(name: string, ours: MetricSeries, key: 'vmaf' | 'vmaf_neg', theirs: Golden) {
    assert.equal(ours.frames.length, theirs.frames.length, `${name}: frames`)
    for (const [i, frame] of theirs.frames.entries()) {
      const difference = Math.abs((ours.frames[i] ?? Number.NaN) - frame[key])
      assert.ok(difference <= MAX_FRAME, `${name} ${key} frame ${i}: off by ${difference}`)
      errors.push(difference)
    }
    const pooled = theirs.pooled[key]
    for (const [what, mine, wanted] of [
      ['mean', ours.mean, pooled.mean],
      ['harmonic mean', ours.harmonicMean, pooled.harmonic_mean],
    ] as const) {
      const difference = Math.abs(mine - wanted)
      assert.ok(difference <= MAX_POOLED, `${name} ${key} ${what}: off by ${difference}`)
    }
  }

  for (const [reference, names] of Object.entries(CASES)) {
    test(`${reference}: ${names.length} results of one reference`, async () => {
      const wanted = names.map(golden)
      const files = wanted.map((pair) => clip(pair.distorted))
      const results = await scorer.scoreMany(clip(reference), files)
      for (const [i, result] of results.entries()) {
        const name = names[i] ?? ''
        assert.ok(!('error' in result), `${name}: ${'error' in result ? result.error : ''}`)
        compare(name, result.vmaf, 'vmaf', wanted[i] as Golden)
        compare(name, result.vmafNeg, 'vmaf_neg', wanted[i] as Golden)
        assert.equal(result.device, 'cpu')
      }
    })
  }

  test('the mean error over all these frames is at most 0.004', () => {
    const mean = errors.reduce((a, b) => a + b, 0) / errors.length
    assert.ok(mean <= MAX_MEAN && errors.length > 700, `${mean} over ${errors.length} frames`)
  })
})
