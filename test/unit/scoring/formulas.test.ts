import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { bestResponse } from '#src/scoring/formulas/audio.js'
import {
  COMPRESSION_FORMULAS,
  compressionScore,
  continuousCompressionScore,
} from '#src/scoring/formulas/compression.js'
import { consensusOf, type MinerReport } from '#src/scoring/formulas/consensus.js'
import { validatorRateLimit } from '#src/scoring/formulas/evidence.js'
import { organicCompressionMultipliers, organicUpscaleStep } from '#src/scoring/formulas/history.js'
import { harmonicMean, harmonicMeanDroppingZeros } from '#src/scoring/formulas/pooling.js'

describe('continuous compression score', () => {
  const GRID = 200
  const score = (i: number, j: number, threshold: number): number =>
    continuousCompressionScore({
      vmaf: threshold - 7 + ((107 - threshold) * i) / GRID,
      rate: 0.005 + (0.82 * j) / GRID,
      threshold,
    }).score

  it('never falls with quality and never rises with bytes, on a 200×200 grid', () => {
    for (const threshold of [85, 89, 93]) {
      for (let i = 0; i < GRID; i += 1) {
        for (let j = 0; j < GRID; j += 1) {
          const here = score(i, j, threshold)
          assert.ok(score(i + 1, j, threshold) >= here - 1e-12, `quality ${threshold} ${i} ${j}`)
          assert.ok(score(i, j + 1, threshold) <= here + 1e-12, `bytes ${threshold} ${i} ${j}`)
        }
      }
    }
  })

  it('has no jump at the threshold, at the cutoff or at the size limit', () => {
    const at = (vmaf: number, rate: number): number =>
      continuousCompressionScore({ vmaf, rate, threshold: 89 }).score
    assert.ok(Math.abs(at(89, 0.1) - at(89 - 1e-6, 0.1)) < 1e-5)
    assert.ok(at(84 + 1e-6, 0.05) < 1e-5)
    assert.ok(at(99, 0.8 - 1e-6) < 1e-4)
  })

  it('equals the compatible formula above the threshold from a ratio of 2.5 on', () => {
    for (const vmaf of [89, 92.5, 99]) {
      for (const rate of [0.4, 0.1, 0.05, 0.01]) {
        const input = { vmaf, rate, threshold: 89 }
        const same = compressionScore(input).score
        assert.ok(Math.abs(continuousCompressionScore(input).score - same) < 1e-12)
      }
    }
  })

  it('removes the two faults of the compatible formula that it is there for', () => {
    const below = compressionScore({ vmaf: 88.999, rate: 0.1, threshold: 89 }).score
    const on = compressionScore({ vmaf: 89, rate: 0.1, threshold: 89 }).score
    assert.ok(on - below > 0.29, 'the compatible formula jumps')
    assert.ok(compressionScore({ vmaf: 99, rate: 0.7999, threshold: 85 }).score > 0.26)
    assert.ok(continuousCompressionScore({ vmaf: 99, rate: 0.7999, threshold: 85 }).score < 1e-3)
  })
})

describe('hostile numbers', () => {
  it('score 0 for NaN, infinity, zero and negative sizes', () => {
    for (const [name, formula] of Object.entries(COMPRESSION_FORMULAS)) {
      for (const bad of [Number.NaN, 0, -1, Number.POSITIVE_INFINITY]) {
        assert.equal(formula({ vmaf: 95, rate: bad, threshold: 90 }).score, 0, `${name} ${bad}`)
      }
      const unknown = formula({ vmaf: Number.NaN, rate: 0.1, threshold: 90 })
      assert.equal(unknown.score, 0, name)
    }
  })
})

describe('faults of the reference, corrected by default', () => {
  it('lets one black frame in ten ruin the harmonic mean', () => {
    const frames = [95, 95, 95, 95, 95, 95, 95, 95, 95, 0]
    assert.equal(Math.round(harmonicMeanDroppingZeros(frames)), 95)
    assert.ok(harmonicMean(frames) < 9)
  })

  it('judges organic compression by the rules of compression', () => {
    const rows = Array.from({ length: 10 }, () => ({ score: 0.6 }))
    assert.equal(organicCompressionMultipliers(rows).total, 1)
    const reference = organicCompressionMultipliers(rows, 'reference')
    assert.equal(reference.penaltyQuality, 0.75)
  })

  it('lets good organic work earn', () => {
    assert.ok(organicUpscaleStep(0.4, 3).accumulated > 0.4)
  })

  it('admits exactly the limit', () => {
    assert.equal(validatorRateLimit([30_000, 100_000], 1), 49)
  })

  it('ignores what a miner says of itself', () => {
    const claimed = { uid: 1, accuracy: 0.2, speed: 0.2, seconds: 9, accuracy_score: 1 }
    const honest = { uid: 2, accuracy: 0.9, speed: 0.8, seconds: 2 }
    assert.equal(bestResponse([claimed, honest])?.uid, 2)
  })
})

describe('consensus of validators', () => {
  const report = (validator: string, atMs: number, status: MinerReport['status']): MinerReport => ({
    validator,
    atMs,
    confidence: 0.9,
    status,
  })

  it('needs distinct validators: one validator twice is one', () => {
    const twice = [report('a', 1, { stake: 1 }), report('a', 2, { stake: 3 })]
    assert.equal(consensusOf(twice, { nowMs: 10 }).kind, 'too-few-validators')
    assert.equal(consensusOf(twice, { nowMs: 10, rules: 'reference' }).kind, 'consensus')
  })

  it('keeps the confidence that was reported', () => {
    const two = [report('a', 1, { stake: 1 }), report('b', 2, { stake: 3 })]
    const sure = consensusOf(two, { nowMs: 10 })
    assert.ok(sure.kind === 'consensus' && sure.consensus.confidence >= 0.7)
    const reference = consensusOf(two, { nowMs: 10, rules: 'reference' })
    assert.ok(reference.kind === 'consensus' && reference.consensus.confidence < 0.7)
  })

  it('takes the newest value of the field asked for', () => {
    const two = [
      report('a', 1, { hotkey: 'x', version: '1.0' }),
      report('b', 2, { hotkey: 'x', version: '2.0' }),
    ]
    const right = consensusOf(two, { nowMs: 10 })
    assert.ok(right.kind === 'consensus' && right.consensus.status['version'] === '2.0')
    const wrong = consensusOf(two, { nowMs: 10, rules: 'reference' })
    assert.ok(wrong.kind === 'consensus' && wrong.consensus.status['version'] === 'x')
  })

  it('drops reports older than five minutes', () => {
    const old = [report('a', 0, { stake: 1 }), report('b', 400_000, { stake: 3 })]
    assert.equal(consensusOf(old, { nowMs: 400_001 }).kind, 'too-few-validators')
  })
})
