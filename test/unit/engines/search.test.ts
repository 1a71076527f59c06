import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { nextStep, type Point, type SearchGoal, snapDown } from '#src/engines/compress/search.js'

const GOAL: SearchGoal = {
  min: 8,
  max: 48,
  step: 0.25,
  target: 90,
  tolerance: 0.5,
  usual: 4,
  start: 27,
  slope: () => 0.11,
}

/** Runs a search against a curve; returns the points probed and the outcome. */
function search(quality: (crf: number) => number, goal: SearchGoal) {
  const points: Point[] = []
  for (;;) {
    const step = nextStep(points, goal)
    if (step.next === 'stop') return { points, best: step.best }
    points.push({ crf: step.crf, quality: quality(step.crf) })
    assert.ok(points.length < 60, 'the search must end')
  }
}

const curveOf = (base: number, slope: number) => (crf: number) =>
  Math.min(99.5, 101 - Math.exp(base + slope * crf))

test('finds the highest CRF that meets the target within the tolerance', () => {
  const { best } = search(curveOf(-0.8, 0.11), GOAL)
  assert.ok(best !== undefined)
  assert.ok(best.quality >= 90 && best.quality <= 90.5, `quality ${best.quality}`)
})

test('needs at most four probes on curves of the usual shape, wherever they lie', () => {
  for (let shift = -1.6; shift <= 0; shift += 0.1) {
    for (const slope of [0.08, 0.1, 0.12, 0.14]) {
      const { points, best } = search(curveOf(shift, slope), GOAL)
      assert.ok(best !== undefined, `curve ${shift} ${slope}`)
      assert.ok(points.length <= 4, `curve ${shift} ${slope} took ${points.length}`)
    }
  }
})

/** A line between measured points, in ln(101 − quality). */
const curveThrough = (known: readonly (readonly [crf: number, quality: number])[]) => {
  const bends = known.map(([crf, quality]) => [crf, Math.log(101 - quality)] as const)
  return (crf: number) => {
    const after = Math.max(
      1,
      bends.findIndex(([x]) => x >= crf),
    )
    const [a, b] = [bends[after - 1] ?? [0, 0], bends[after] ?? [0, 0]]
    return 101 - Math.exp(a[1] + ((crf - a[0]) * (b[1] - a[1])) / (b[0] - a[0]))
  }
}

test('lands close on a clip whose quality falls off a cliff', () => {
  // A pan over stills, x265: far from every prediction, and twice as steep on one side as on the other.
  const pan = curveThrough([
    [8, 99.5],
    [29.54, 98.175],
    [32.66, 93.72],
    [35, 84.5],
    [37.66, 75.77],
    [48, 40],
  ])
  const goal = {
    ...GOAL,
    target: 89.01,
    tolerance: 0.22,
    step: 0.02,
    start: 29.54,
    slope: () => 0.18,
  }
  const { points, best } = search(pan, goal)
  assert.ok(best !== undefined && best.quality < 89.5, `${best?.quality}`)
  assert.ok(points.length <= 5, `${points.map(({ crf }) => crf)}`)
})

test('takes no slope from two points next to each other, which jumps of quality would decide', () => {
  const points = [
    { crf: 31.62, quality: 84.63 },
    { crf: 31.42, quality: 84.69 },
  ]
  const goal = { ...GOAL, target: 85.01, tolerance: 0.3, step: 0.02 }
  const step = nextStep(points, goal)
  assert.ok(step.next === 'probe' && step.crf > 30.9 && step.crf < 31.4, JSON.stringify(step))
})

test('aims below the target where a miss is of use beside a pass', () => {
  const quality = curveOf(-0.8, 0.11)
  const above = [{ crf: 24, quality: quality(24) }]
  const next = (mayMiss: boolean) => {
    const step = nextStep(above, { ...GOAL, mayMiss })
    assert.ok(step.next === 'probe')
    return quality(step.crf)
  }
  assert.ok(next(false) >= GOAL.target)
  assert.ok(next(true) < GOAL.target && next(true) > GOAL.target - 3 * GOAL.tolerance)
})

test('says that the target cannot be met when the lowest CRF misses it', () => {
  const { best, points } = search(() => 70, GOAL)
  assert.equal(best, undefined)
  assert.equal(points.at(-1)?.crf, 8)
})

test('stops at the highest CRF when even that is good enough', () => {
  const { best } = search(() => 97, GOAL)
  assert.equal(best?.crf, 48)
})

test('on a coarse grid takes the last step that passes', () => {
  const goal = { ...GOAL, min: 12, max: 63, step: 1, start: 45, slope: () => 0.05 }
  const quality = curveOf(-3.1, 0.115)
  const { best } = search(quality, goal)
  assert.ok(best !== undefined && best.quality >= 90)
  assert.ok(quality(best.crf + 1) < 90 || best.quality <= 90.5)
})

test('ends and never probes a CRF twice, whatever the curve', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 161, maxLength: 161 }),
      (qualities) => {
        const { points } = search((crf) => qualities[Math.round((crf - 8) / 0.25)] ?? 0, GOAL)
        assert.equal(new Set(points.map((point) => point.crf)).size, points.length)
      },
    ),
    { numRuns: 200 },
  )
})

test('moves a CRF to the grid, rounding towards quality', () => {
  assert.equal(snapDown(27.3, GOAL), 27.25)
  assert.equal(snapDown(27.25, GOAL), 27.25)
  assert.equal(snapDown(2, GOAL), 8)
  assert.equal(snapDown(70, GOAL), 48)
})
