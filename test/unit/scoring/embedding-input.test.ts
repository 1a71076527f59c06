import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cosine, meanDirection } from '#src/scoring/metrics/embedding/embedder.js'
import { logMelFilterBank } from '#src/scoring/metrics/embedding/fbank.js'
import { patchStarts } from '#src/scoring/metrics/embedding/pieapp.js'
import {
  planesOf,
  resizeBilinear,
  scaleShortSide,
  threeCrops,
} from '#src/scoring/metrics/embedding/resize.js'
import { clipFrames, clipTimes, spreadFrames } from '#src/scoring/metrics/embedding/sampling.js'

test('spreads frames over the middles of equal parts', () => {
  assert.deepEqual(spreadFrames(100, 4), [12, 37, 62, 87])
  assert.deepEqual(spreadFrames(3, 10), [0, 1, 2])
  assert.deepEqual(spreadFrames(0, 10), [0])
})

test('takes clips from the start to the last that fits', () => {
  const starts = clipTimes(11, 2, 10).map((time) => time.startSeconds)
  assert.deepEqual(starts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.deepEqual(
    clipTimes(1.5, 2, 2).map((time) => time.startSeconds),
    [0, 0],
  )
})

test('stands for a clip by its first and last frame', () => {
  assert.deepEqual(clipFrames({ startSeconds: 1, endSeconds: 3 }, 24, 240, 2), [24, 71])
  assert.deepEqual(clipFrames({ startSeconds: 0, endSeconds: 2 }, 24, 36, 2), [0, 35])
  assert.deepEqual(clipFrames({ startSeconds: 9, endSeconds: 11 }, 24, 36, 2), [])
})

test('cosine is 1 for the same direction, -1 for the opposite, 0 for nothing', () => {
  const a = new Float32Array([1, 2, 3])
  assert.ok(
    Math.abs(
      cosine(
        a,
        a.map((x) => 5 * x),
      ) - 1,
    ) < 1e-12,
  )
  assert.equal(
    cosine(
      a,
      a.map((x) => -x),
    ),
    -1,
  )
  assert.equal(cosine(a, new Float32Array(3)), 0)
})

test('the mean direction counts each row alike, however long', () => {
  const mean = meanDirection(new Float32Array([100, 0, 0, 1]), 2)
  assert.ok(
    Math.abs((mean[0] ?? 0) - Math.SQRT1_2) < 1e-6 &&
      Math.abs((mean[1] ?? 0) - Math.SQRT1_2) < 1e-6,
  )
})

test('resizes with pixel centres at halves', () => {
  const row = { channels: 1, width: 4, height: 1, data: new Float32Array([0, 1, 2, 3]) }
  assert.deepEqual([...resizeBilinear(row, 2, 1).data], [0.5, 2.5])
  assert.deepEqual([...resizeBilinear(row, 8, 1).data], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
})

test('scales the short side and crops at the start, the middle and the end of the long one', () => {
  const rgb = Uint8Array.from({ length: 3 * 40 * 10 }, (_, i) => Math.floor(i / 3) % 40)
  const scaled = scaleShortSide(planesOf(rgb, 40, 10), 10)
  assert.deepEqual([scaled.width, scaled.height], [40, 10])
  const firsts = threeCrops(scaled, 10).map((crop) => Math.round((crop.data[0] ?? 0) * 255))
  assert.deepEqual(firsts, [0, 15, 30])
})

// Values of kaldi-native-fbank (PyPI, 64 bins, window hanning, no dither) for the same signal.
test('log mel spectra are those of Kaldi', () => {
  const signal = Float32Array.from({ length: 32_000 }, (_, i) => {
    const t = i / 16_000
    const sweep = 0.4 * Math.sin(2 * Math.PI * (200 * t + 900 * t * t))
    return sweep + 0.1 * Math.sin(2 * Math.PI * 5000 * t)
  })
  const { frames, values } = logMelFilterBank(signal, 16_000, 64)
  assert.equal(frames, 198)
  const golden: Readonly<Record<number, readonly number[]>> = {
    0: [-5.7323, -8.0103, -15.9424, -15.9424, -11.4805, -15.9424],
    50: [-15.9424, -14.8572, -5.5871, -12.6209, -11.4777, -15.9424],
    197: [-12.183, -15.9424, -15.9424, -15.9424, -9.5289, -15.9424],
  }
  for (const [frame, wanted] of Object.entries(golden)) {
    for (const [i, bin] of [0, 10, 20, 31, 50, 63].entries()) {
      const found = values[Number(frame) * 64 + bin] ?? 0
      assert.ok(Math.abs(found - (wanted[i] ?? 0)) < 5e-4, `frame ${frame} bin ${bin}: ${found}`)
    }
  }
})

test('cuts whole patches of 64 pixels every 27', () => {
  assert.deepEqual(patchStarts(64), [0])
  assert.deepEqual(patchStarts(118), [0, 27, 54])
  assert.deepEqual(patchStarts(40), [0])
})
