import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { detailPutBack, judgeUpscaling } from '#src/scoring/judge/verdict.js'
import { DetailMeter } from '#src/scoring/metrics/detail.js'
import { poolSeries } from '#src/scoring/metrics/index.js'

const [width, height] = [37, 22]
const format = { width, height, depth: 8 } as const
const texture = Uint8Array.from(
  new SeededRng('texture').bytes(width * height),
  (v) => 64 + (v >> 1),
)
/** Means over pairs of pixels, each twice: what a picture of half the width can hold. */
const coarse = texture.map((_, i) => {
  const pair = i - ((i % width) % 2)
  return ((texture[pair] ?? 0) + (texture[Math.min(texture.length - 1, pair + 1)] ?? 0)) >> 1
})

function likeness(a: Uint8Array, b: Uint8Array, scale = 2): number {
  const meter = new DetailMeter(format, scale)
  meter.add(a, b)
  return meter.likeness
}

describe('likeness of fine detail', () => {
  it('is 1 for the same picture, also weaker, brighter or in 10 bits', () => {
    assert.ok(likeness(texture, texture) > 0.999_999)
    assert.ok(
      likeness(
        texture,
        texture.map((v) => 40 + (v >> 1)),
      ) > 0.99,
    )
    const deep = Uint16Array.from(texture, (v) => v << 2)
    const meter = new DetailMeter({ ...format, depth: 10 }, 2)
    meter.add(new Uint8Array(deep.buffer), new Uint8Array(deep.buffer))
    assert.ok(meter.likeness > 0.999_999)
  })

  it('is lost with detail, and is nothing where there is none', () => {
    assert.ok(likeness(texture, coarse) < 0.8, `${likeness(texture, coarse)}`)
    assert.equal(
      likeness(
        texture,
        texture.map(() => 90),
      ),
      0,
    )
    assert.equal(new DetailMeter(format, 2).likeness, 0)
  })

  it('does not rise when what is left is made stronger', () => {
    const stronger = coarse.map((v) => Math.max(0, Math.min(255, 96 + 1.4 * (v - 96))))
    assert.ok(likeness(texture, stronger) < likeness(texture, coarse) + 0.01)
  })

  it('looks at coarser detail for a larger factor', () => {
    assert.ok(likeness(texture, coarse, 4) > likeness(texture, coarse, 2))
  })
})

describe('the verdict on an upscale', () => {
  const judge = (neg: number, detail: number) =>
    judgeUpscaling({
      gates: [],
      vmaf: poolSeries('vmaf', [neg + 1]),
      vmafNeg: poolSeries('vmafNeg', [neg]),
      contentLengthSeconds: 10,
      quality: { metric: 'vmaf-neg-gain', baseline: 80, detail, baselineDetail: 0.4 },
    })

  it('grows with VMAF NEG where detail was put back', () => {
    assert.ok(judge(92, 0.6).score > judge(88, 0.6).score)
    assert.match(judge(92, 0.6).reason, /92\.00 against plain bicubic's 80\.00/)
  })

  it('is 0 for a gain that sharpening made, and says so', () => {
    const { score, reason } = judge(92, 0.41)
    assert.equal(score, 0)
    assert.match(reason, /no more like the reference's than a filter makes it \(0\.410 against/)
  })

  it('pays the length of a clip only as far as there is quality', () => {
    const [hardly, tenth] = [judge(80.2, 0.6).score, judge(82, 0.6).score]
    assert.ok(hardly > 0 && hardly < tenth / 10, `${hardly} beside ${tenth}`)
  })

  it('is 0 without a gain, whatever the detail', () => {
    assert.match(judge(79, 0.9).reason, /no better than plain bicubic's 80\.00/)
  })

  it('has no jump between the two, and copes with references without detail', () => {
    let before = 0
    for (let detail = 0.4; detail < 0.5; detail += 0.0005) {
      const put = detailPutBack(detail, 0.4)
      assert.ok(put >= before && put - before < 0.03, `${detail}: ${put} after ${before}`)
      before = put
    }
    assert.equal(before, 1)
    assert.equal(detailPutBack(0, 0), 0)
    assert.equal(detailPutBack(-0.1, 0), 0)
    assert.equal(detailPutBack(0.2, -0.1), 1)
  })
})
