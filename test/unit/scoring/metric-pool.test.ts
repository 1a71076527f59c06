import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricsError, poolSeries } from '#src/scoring/metrics/index.js'
import { motionFeature } from '#src/scoring/metrics/pool.js'

test('pools mean, harmonic mean, extremes and percentiles', () => {
  const series = poolSeries('vmaf', [90, 80, 100, 70, 60])
  assert.equal(series.mean, 80)
  assert.equal(series.min, 60)
  assert.equal(series.max, 100)
  assert.equal(series.percentiles.p50, 80)
  assert.equal(series.percentiles.p10, 64)
  assert.ok(series.harmonicMean < series.mean)
  assert.deepEqual(series.frames, [90, 80, 100, 70, 60])
})

test('counts a black frame at full weight', () => {
  const series = poolSeries('vmaf', [95, 95, 95, 95, 95, 95, 95, 95, 95, 0])
  assert.ok(series.harmonicMean < 9, `${series.harmonicMean}`)
})

test('refuses what is not a number, and no frames at all', () => {
  for (const frames of [[1, Number.NaN], [Number.POSITIVE_INFINITY], []]) {
    assert.throws(
      () => poolSeries('vmaf', frames),
      (error) => error instanceof MetricsError && error.code === 'METRICS_NOT_FINITE',
    )
  }
})

test('takes the smaller of two motions; the first frame has none, the last its own', () => {
  const sad = new Map([
    [1, 5],
    [2, 3],
    [3, 4],
  ])
  assert.deepEqual(
    [0, 1, 2, 3].map((frame) => motionFeature(sad, frame)),
    [0, 3, 3, 4],
  )
})
