import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { POOLS, pool } from '#src/engines/compress/meter.js'
import { chooseTakes, type Take } from '#src/engines/compress/splice.js'

const take = fc.record({
  sizeBytes: fc.integer({ min: 1, max: 10_000 }),
  frames: fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 3, maxLength: 3 }),
})
const takes = fc.array(fc.array(take, { minLength: 2, maxLength: 3 }), {
  minLength: 1,
  maxLength: 4,
})

/** Every way to pick a take for each stretch. */
function everyWay(all: readonly (readonly Take[])[]): readonly (readonly Take[])[] {
  return all.reduce<readonly (readonly Take[])[]>(
    (ways, options) => ways.flatMap((way) => options.map((option) => [...way, option])),
    [[]],
  )
}
const bytesOf = (way: readonly Take[]) => way.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
const framesOf = (way: readonly Take[]) => way.flatMap(({ frames }) => frames)

for (const how of POOLS) {
  test(`${how}: of all ways that meet the target it takes the smallest, and none where there is none`, () => {
    fc.assert(
      fc.property(takes, fc.double({ min: 1, max: 99, noNaN: true }), (all, target) => {
        const picks = chooseTakes(all, target, how)
        const good = everyWay(all).filter((way) => pool(framesOf(way), how) >= target + 1e-6)
        if (picks === undefined) return assert.equal(good.length, 0)
        const way = picks.flatMap((pick, s) => all[s]?.[pick] ?? [])
        assert.equal(way.length, all.length)
        assert.ok(pool(framesOf(way), how) >= target - 1e-6)
        assert.ok(good.every((other) => bytesOf(way) <= bytesOf(other)))
      }),
    )
  })
}

test('many stretches take bounded work and still meet the target', () => {
  const all = Array.from({ length: 200 }, (_, s) =>
    Array.from({ length: 4 }, (_, c) => ({
      sizeBytes: 1_000 + 300 * c + ((s * 37) % 211),
      frames: [80 + 5 * c + (((s * 53) % 97) - 48) / 20],
    })),
  )
  const picks = chooseTakes(all, 90, 'mean') ?? []
  const way = picks.flatMap((pick, s) => all[s]?.[pick] ?? [])
  const quality = pool(framesOf(way), 'mean')
  assert.ok(quality >= 90 && quality < 90.1, `quality ${quality}`)
})
