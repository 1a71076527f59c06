import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  generationSpeed,
  REFERENCE_FRAMES,
  referenceSeconds,
} from '#src/scoring/formulas/generation.js'
import {
  CALIBRATION,
  countGate,
  fileScore,
  GENERATION_GATES,
  judgeGeneration,
  thresholdFor,
} from '#src/scoring/generation/index.js'

const PAIR = { embedder: 'e', validatorGpu: 'A100', minerGpu: '4090' }
const row = (cosines: number[], gpus: [string, string] = ['4090', 'A100'], embedder = 'e') => ({
  embedder,
  gpus,
  cosines,
})

describe('thresholds by pairs of graphics cards', () => {
  it('are the reference where too little is known', () => {
    const { defaultCosine } = CALIBRATION
    const cosines = Array.from({ length: 20 }, () => 0.97)
    const cases = {
      'no table': thresholdFor([], PAIR),
      'few samples': thresholdFor([row(cosines.slice(0, 7))], PAIR),
      'another embedder': thresholdFor([row(cosines, ['4090', 'A100'], 'other')], PAIR),
      'another pair': thresholdFor([row(cosines, ['4090', 'H100'])], PAIR),
      'an unknown card': thresholdFor([row(cosines)], { ...PAIR, minerGpu: undefined }),
    }
    for (const [what, threshold] of Object.entries(cases))
      assert.deepEqual(threshold, { minCosine: defaultCosine, samples: 0 }, what)
  })

  it('lie below every honest clip of the pair, whichever is the validator', () => {
    const cosines = [0.93, 0.94, 0.95, 0.935, 0.945, 0.94, 0.93, 0.95]
    const { minCosine, samples } = thresholdFor([row(cosines)], PAIR)
    assert.equal(samples, 8)
    assert.ok(minCosine < 0.93 && minCosine > 0.89, String(minCosine))
    const turned = { ...PAIR, validatorGpu: '4090', minerGpu: 'A100' }
    assert.equal(thresholdFor([row(cosines)], turned).minCosine, minCosine)
  })

  it('stay within bounds, so that no claimed card makes anything pass', () => {
    const wild = [0.2, 0.9, 0.5, 0.99, 0.3, 0.8, 0.7, 0.6]
    assert.equal(thresholdFor([row(wild)], PAIR).minCosine, CALIBRATION.lowest)
    const equal = Array.from({ length: 9 }, () => 1)
    assert.equal(thresholdFor([row(equal)], PAIR).minCosine, CALIBRATION.highest)
  })
})

describe('speed in seconds per frame', () => {
  it('is that of the reference for its clip, and the same for every length at one pace', () => {
    for (const seconds of [10, 300, 450, 599, 700]) {
      assert.equal(referenceSeconds(seconds, REFERENCE_FRAMES), seconds)
      const speed = generationSpeed(seconds)
      for (const frames of [9, 33, 161]) {
        const same = referenceSeconds((seconds / REFERENCE_FRAMES) * frames, frames)
        assert.ok(Math.abs(generationSpeed(same) - speed) < 1e-9, `${seconds} s, ${frames} frames`)
      }
    }
    assert.equal(generationSpeed(referenceSeconds(undefined, 33)), 0.5)
  })
})

describe('the verdict on a generated result', () => {
  const facts = { gates: [], minCosine: 0.95, seconds: 20, frames: 33 }
  const video = (videoCosine: number, audioCosine?: number) =>
    ({
      name: 'v',
      kind: 'video',
      videoCosine,
      ...(audioCosine === undefined ? {} : { audioCosine }),
    }) as const

  it('follows the vectors of subnet 99 for what is alike', () => {
    const verdict = judgeGeneration({ ...facts, files: [video(0.98)] })
    assert.equal(verdict.score, 0.6 * (0.8 * 0.98 + 0.2) + 0.4)
    assert.ok(Math.abs((verdict.secondsPerFrame ?? 0) - 20 / 33) < 1e-12)
  })

  it('gives nothing for another clip, missing sound or a failed gate, however fast', () => {
    const other = judgeGeneration({ ...facts, files: [video(0.6)] })
    assert.deepEqual([other.score, other.quality], [0, 0])
    assert.match(other.reason, /best cosine is 0\.600, 0\.950 is needed/)
    assert.equal(judgeGeneration({ ...facts, files: [video(1, 0)] }).score, 0)
    const gates = [{ code: 'shape', passed: false, detail: 'smaller' }]
    assert.deepEqual(
      judgeGeneration({ ...facts, gates, files: [video(1)] }).reason,
      'shape: smaller',
    )
    assert.equal(judgeGeneration({ ...facts, gates, files: [video(1)] }).score, 0)
  })

  it('is the mean of its files', () => {
    const files = [video(1), { name: 'i', kind: 'image', videoCosine: 0.9 }] as const
    assert.equal(judgeGeneration({ ...facts, files }).quality, 0.95)
    assert.equal(fileScore({ name: 'o', kind: 'other' }, 0.95), 0.9)
  })

  it('wants as many files of each node as the rerun has, and does not mind more nodes', () => {
    const rerun = new Map([['8 images', 1]])
    assert.ok(countGate(rerun, new Map([['8 images', 1]])).passed)
    assert.ok(
      countGate(
        rerun,
        new Map([
          ['8 images', 1],
          ['9 images', 3],
        ]),
      ).passed,
    )
    assert.equal(countGate(rerun, new Map([['8 images', 2]])).passed, false)
    assert.equal(countGate(rerun, new Map([['8 gifs', 1]])).passed, false)
  })
})

it('docs/reference/scoring.md lists the gates of generation in their words', () => {
  const page = readFileSync('docs/reference/scoring.md', 'utf8')
  const section = page.slice(page.indexOf('## Generation'))
  for (const [code, words] of Object.entries(GENERATION_GATES))
    assert.ok(section.includes(`| \`${code}\` | ${words} |`), code)
})
