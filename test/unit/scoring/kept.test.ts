import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { judgeCompression } from '#src/scoring/judge/verdict.js'
import { poolSeries } from '#src/scoring/metrics/index.js'
import { KeptMeter, type Picture, Yardstick } from '#src/scoring/metrics/kept.js'
import { TransformedPlane } from '#src/scoring/metrics/quantise.js'
import type { Kept } from '#src/scoring/types.js'

const [width, height] = [130, 98]
const noise = (length: number, seed: string) =>
  Uint8Array.from(new SeededRng(seed).bytes(length), (v) => 64 + (v >> 1))
const picture = (luma: Uint8Array, chroma: readonly Uint8Array[]): Picture => ({
  width,
  height,
  depth: 8,
  luma,
  chroma,
})
const luma = noise(width * height, 'luma')
const chroma = [noise((width * height) / 4, 'u'), noise((width * height) / 4, 'v')]
const original = picture(luma, chroma)

/** Means of neighbours along rows: what is finest is gone. */
const softened = (plane: Uint8Array) =>
  plane.map((v, i) => Math.round(((plane[i - 1] ?? v) + 2 * v + (plane[i + 1] ?? v)) / 4))

function compare(result: Picture, reference = original): Kept {
  const yardstick = new Yardstick(1)
  const meter = new KeptMeter(yardstick)
  yardstick.next(() => reference)
  meter.add(() => result)
  return meter.kept
}

describe('what is kept of detail', () => {
  it('is all of it in a copy, also in 10 bits', () => {
    const deep = (plane: Uint8Array | Uint16Array) => Uint16Array.from(plane, (v) => v << 2)
    const copy: Picture = { ...original, depth: 10, luma: deep(luma), chroma: chroma.map(deep) }
    for (const { fine, colour } of [compare(original), compare(copy)]) {
      assert.ok(Math.abs(fine.kept - 1) < 1e-6 && Math.abs(colour.kept - 1) < 1e-6)
      assert.ok(fine.expected > 0.95 && fine.expected <= 1, `${fine.expected}`)
      assert.ok(fine.strength > 10 && colour.strength > 10)
    }
  })

  it('is as expected after rounding of coefficients, however coarse', () => {
    const side = 96
    const plane = Float32Array.from(noise(side * side, 'square'))
    const square = (values: Float32Array): Picture => ({
      width: side,
      height: side,
      depth: 8,
      luma: Uint8Array.from(values, Math.round),
      chroma: [],
    })
    for (const step of [10, 30, 60]) {
      const coded = new TransformedPlane(plane, side).rounded(step)
      const { fine } = compare(square(coded), square(plane))
      const share = fine.kept / fine.expected
      assert.ok(Math.abs(share - 1) < 0.1, `${fine.kept} for ${fine.expected} at ${step}`)
    }
  })

  it('does not rise by sharpening, and colour is told from brightness', () => {
    const soft = compare(picture(softened(luma), chroma))
    assert.ok(soft.fine.kept < 0.8 && soft.colour.kept > 0.99)
    const gray = compare(picture(luma, chroma.map(softened)))
    assert.ok(gray.colour.kept < 0.9 && gray.fine.kept > 0.99)
  })

  it('is not looked at where one side has no halved chroma', () => {
    assert.equal(compare(picture(luma, [])).colour.strength, 0)
    assert.equal(compare(original, picture(luma, [])).colour.strength, 0)
  })

  it('takes at most thirty frames, five apart at least', () => {
    for (const [frames, taken] of [
      [16, 4],
      [300, 30],
      [3_000, 30],
    ] as const) {
      const yardstick = new Yardstick(frames)
      let asked = 0
      const small = { ...original, width: 32, height: 32 }
      for (let i = 0; i < frames; i += 1) {
        yardstick.next(() => {
          asked += 1
          return small
        })
      }
      assert.equal(asked, taken)
    }
  })
})

describe('the gates on detail', () => {
  const whole = { strength: 5, kept: 0.9, expected: 0.9 }
  const judged = (kept: Kept) => {
    const series = poolSeries('x', [92, 92, 92])
    return judgeCompression({
      gates: [],
      vmaf: series,
      vmafNeg: series,
      kept,
      rate: 0.1,
      threshold: 90,
      formula: 'vidaio-compression',
    })
  }

  it('close on what lost more than an encoder as coarse would lose', () => {
    assert.ok(judged({ fine: whole, colour: whole }).score > 0)
    const lost = { ...whole, kept: 0.4 }
    assert.match(
      judged({ fine: lost, colour: whole }).reason,
      /^Scored 0 by gate fine-detail: 40 % of fine detail is kept .* keeps 90 %; at least 45 %/,
    )
    const gone = { ...whole, kept: 0.2 }
    assert.match(judged({ fine: whole, colour: gone }).reason, /gate colour-detail/)
    assert.ok(judged({ fine: whole, colour: { ...whole, kept: 0.4 } }).score > 0, 'encoders do so')
  })

  it('ask less of coarse encodes, and nothing of ruined or flat ones', () => {
    const share = (expected: number, ratio: number) => ({
      strength: 5,
      expected,
      kept: expected * ratio,
    })
    assert.ok(judged({ fine: share(0.6, 0.4), colour: whole }).score > 0)
    assert.equal(judged({ fine: share(0.6, 0.3), colour: whole }).score, 0)
    assert.ok(judged({ fine: share(0.4, 0), colour: whole }).score > 0)
    assert.ok(judged({ fine: { ...whole, kept: 0, strength: 0.1 }, colour: whole }).score > 0)
  })
})
