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
const hard = (name: string) => join(fixtures, 'vmaf-hard', name)

interface Golden {
  readonly distorted: string
  readonly pooled: Record<'vmaf' | 'vmaf_neg', { mean: number; harmonic_mean: number; min: number }>
  readonly frames: readonly { readonly vmaf: number; readonly vmaf_neg: number }[]
}
const read = (path: string): Golden => JSON.parse(readFileSync(path, 'utf8'))
const golden = (name: string) => read(join(fixtures, 'vmaf', `${name}.json`))

/** v0.6.1 tests an angle of one degree, where one pixel that rounds otherwise shows; NEG has no such jump. */
const MAX_FRAME = { vmaf: 0.06, vmaf_neg: 0.01 }
const MAX_MEAN = 0.0015
const MAX_POOLED = 0.005

// One reference per row; every kind of distortion once or more.
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
      assert.ok(difference <= MAX_FRAME[key], `${name} ${key} frame ${i}: off by ${difference}`)
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

  for (const name of ['small', 'wide', 'bright', 'deep', 'letterbox', 'gradient', 'black']) {
    test(`a pair on which rounding shows: ${name}`, async () => {
      const wanted = read(hard(`${name}.dist.json`))
      const result = await scorer.score(hard(`${name}.ref.mp4`), hard(`${name}.dist.mp4`))
      compare(name, result.vmaf, 'vmaf', wanted)
      compare(name, result.vmafNeg, 'vmaf_neg', wanted)
    })
  }

  test('the mean error over all these frames is at most 0.0015', () => {
    const mean = errors.reduce((a, b) => a + b, 0) / errors.length
    assert.ok(mean <= MAX_MEAN && errors.length > 700, `${mean} over ${errors.length} frames`)
  })
})
