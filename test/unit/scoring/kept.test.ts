import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { judgeCompression } from '#src/scoring/judge/verdict.js'
import { poolSeries } from '#src/scoring/metrics/index.js'
import { KeptMeter, type Picture, Yardstick } from '#src/scoring/metrics/kept.js'
import { TransformedPlane } from '#src/scoring/metrics/quantise.js'
import type { Kept } from '#src/scoring/types.js'

const [width, height] = [130, 98]
/** Gray with specks: detail that stands out, as edges do. */
const specks = (length: number, seed: string) => {
  const where = new SeededRng(`${seed} where`).bytes(length)
  return Uint8Array.from(new SeededRng(seed).bytes(length), (v, i) =>
    (where[i] ?? 0) < 6 ? v : 128,
  )
}
const picture = (luma: Uint8Array, chroma: readonly Uint8Array[]): Picture => ({
  width,
  height,
  depth: 8,
  luma,
  chroma,
})
const luma = specks(width * height, 'luma')
const chroma = [specks((width * height) / 4, 'u'), specks((width * height) / 4, 'v')]
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
      assert.ok(fine.strength > 3 && colour.strength > 3)
    }
  })

  it('is as expected after rounding of coefficients, however coarse', () => {
    const side = 96
    const plane = Float32Array.from(specks(side * side, 'square'))
    const square = (values: Float32Array): Picture => ({
      width: side,
      height: side,
      depth: 8,
      luma: Uint8Array.from(values, Math.round),
      chroma: [],
    })
    for (const step of [6, 12, 24]) {
      const coded = new TransformedPlane(plane, side).rounded(step)
      const { fine } = compare(square(coded), square(plane))
      const share = fine.kept / fine.expected
      assert.ok(Math.abs(share - 1) < 0.1, `${fine.kept} for ${fine.expected} at ${step}`)
      assert.ok(Math.abs(fine.coarser) < 0.25, `coarser by ${fine.coarser} at ${step}`)
    }
  })

  it('says by how much colour was coded coarser than the rest', () => {
    const side = 192
    const plane = (seed: string, length: number) => Float32Array.from(specks(length ** 2, seed))
    const halves = [plane('u', side / 2), plane('v', side / 2)]
    const square = (step: (of: 'luma' | 'chroma') => number | undefined): Picture => {
      const coded = (samples: Float32Array, length: number, by: number | undefined) =>
        Uint8Array.from(
          by === undefined ? samples : new TransformedPlane(samples, length).rounded(by),
          Math.round,
        )
      return {
        ...{ width: side, height: side, depth: 8 },
        luma: coded(plane('y', side), side, step('luma')),
        chroma: halves.map((half) => coded(half, side / 2, step('chroma'))),
      }
    }
    const { colour } = compare(
      square((of) => (of === 'luma' ? 10 : 40)),
      square(() => undefined),
    )
    assert.ok(Math.abs(colour.coarser - 2) < 0.25, `coarser by ${colour.coarser}`)
  })

  it('does not rise by sharpening, and colour is told from brightness', () => {
    const soft = compare(picture(softened(luma), chroma))
    assert.ok(soft.fine.kept < 0.8 && soft.colour.kept > 0.99)
    const gray = compare(picture(luma, chroma.map(softened)))
    assert.ok(gray.colour.kept < 0.9 && gray.fine.kept > 0.99)
  })

  it('is not looked at where it is noise alone', () => {
    const grain = Uint8Array.from(new SeededRng('grain').bytes(2 * luma.length), (v) => v >> 4)
    const noisy = Uint8Array.from(
      { length: luma.length },
      (_, i) =>
        100 +
        [0, 1, 2, 3, 4, 5, 6, 7].reduce(
          (sum, k) => sum + (grain[(i * 7 + k * 977) % grain.length] ?? 0),
          0,
        ) /
          4,
    )
    const { fine } = compare(picture(softened(noisy), chroma), picture(noisy, chroma))
    assert.ok(fine.strength < 0.4, `${fine.strength}`)
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
  const whole = { strength: 5, kept: 0.9, expected: 0.9, coarser: 0 }
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

  it('close on what lost more than an encoder as coarse would lose, by being coded coarser', () => {
    assert.ok(judged({ fine: whole, colour: whole }).score > 0)
    const lost = { ...whole, kept: 0.2, coarser: 2.1 }
    assert.match(
      judged({ fine: lost, colour: whole }).reason,
      /^Scored 0 by gate fine-detail: 20 % of fine detail is kept .* keeps 90 %.* 4\.29 times as coarse; at least 27 %/,
    )
    assert.match(judged({ fine: whole, colour: lost }).reason, /gate colour-detail/)
  })

  it('let pass what encoders do: lose much of noise by little, and little of what is clean by much', () => {
    const noise = { ...whole, kept: 0.3, coarser: 1.2 }
    const clean = { ...whole, kept: 0.6, coarser: 2.5 }
    for (const share of [noise, clean]) {
      assert.ok(judged({ fine: share, colour: share }).score > 0)
    }
  })

  it('ask nothing of ruined encodes, nor of flat references', () => {
    const gone = { ...whole, kept: 0, coarser: 5 }
    for (const share of [
      { ...gone, expected: 0.4 },
      { ...gone, strength: 0.1 },
    ]) {
      assert.ok(judged({ fine: share, colour: whole }).score > 0)
    }
  })
})
