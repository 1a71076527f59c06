import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StateStore } from '#src/devnet/state/store.js'
import { View } from '#src/devnet/state/view.js'

const item = 'ab'.repeat(32)
const at = (suffix: string): string => item + suffix
const value = (byte: number): Uint8Array => Uint8Array.of(byte)

function filled(): StateStore {
  const store = new StateStore()
  store.commit(1, new Map([[at('01'), value(1)]]))
  store.commit(
    3,
    new Map([
      [at('01'), value(3)],
      [at('02'), value(9)],
    ]),
  )
  store.commit(5, new Map([[at('01'), undefined]]))
  return store
}

test('any height reads what was last written at or below it', () => {
  const store = filled()
  const read = [0, 1, 2, 3, 4, 5, 9].map((height) => store.get(at('01'), height)?.[0])
  assert.deepEqual(read, [undefined, 1, 1, 3, 3, undefined, undefined])
  assert.deepEqual(store.keys(item, 4), [at('01'), at('02')])
  assert.deepEqual(store.keys(at('01'), 5), [])
  assert.deepEqual(store.keys('', 5), [at('02')])
})

test('going back forgets what came after', () => {
  const store = filled()
  store.truncate(2)
  assert.equal(store.get(at('01'), 9)?.[0], 1)
  assert.deepEqual(store.keys(item, 9), [at('01')])
})

test('pruning keeps what newer heights read', () => {
  const store = filled()
  store.prune(4)
  assert.equal(store.get(at('01'), 4)?.[0], 3)
  assert.equal(store.get(at('02'), 5)?.[0], 9)
  store.prune(6)
  assert.deepEqual(store.keys('', 9), [at('02')])
})

test('a view keeps its changes to itself, and a failed transaction keeps none', () => {
  const store = filled()
  const view = new View(store.at(3))
  view.setRaw(at('03'), value(7))
  view.setRaw(at('02'), undefined)
  assert.deepEqual(view.keys(item), [at('01'), at('03')])
  assert.throws(() =>
    view.transaction((inner) => {
      inner.setRaw(at('04'), value(1))
      throw new Error('refused')
    }),
  )
  assert.equal(view.get(at('04')), undefined)
  view.transaction((inner) => inner.setRaw(at('04'), value(2)))
  assert.equal(view.get(at('04'))?.[0], 2)
  assert.equal(store.get(at('03'), 3), undefined)
})
