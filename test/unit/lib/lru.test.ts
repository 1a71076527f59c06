import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LruMap } from '#src/lib/lru.js'

describe('LruMap', () => {
  it('never holds more than its capacity, never lies, and keeps the last half used', () => {
    const key = fc.integer({ min: 0, max: 40 })
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 20 }),
        fc.array(fc.tuple(fc.constantFrom('get', 'set', 'delete'), key), { maxLength: 300 }),
        (capacity, calls) => {
          const map = new LruMap<number, string>(capacity)
          const truth = new Map<number, string>()
          let used: number[] = []
          for (const [i, [what, at]] of calls.entries()) {
            used = used.filter((one) => one !== at)
            if (what === 'delete') {
              map.delete(at)
              truth.delete(at)
            } else if (what === 'set') {
              map.set(at, `${i}`)
              truth.set(at, `${i}`)
              used.push(at)
            } else {
              const found = map.get(at)
              if (found === undefined) truth.delete(at)
              else used.push(at)
              assert.equal(found, truth.get(at))
            }
            assert.ok(map.size <= capacity, `call ${i}`)
          }
          for (const recent of used.slice(-(capacity >> 1))) {
            assert.equal(map.get(recent), truth.get(recent), `key ${recent}`)
          }
        },
      ),
    )
  })
})
