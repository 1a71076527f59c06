import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { chanceOfInnocence, type Deaths, isPoison } from '#src/queue/poison.js'
import { Solitude } from '#src/queue/solitude.js'

describe('what makes a job poison', () => {
  const calm = { others: 0, othersRanMs: 600_000 }

  it('is that it ends its workers soon while those of others live', () => {
    assert.ok(isPoison({ alone: 3, longestMs: 1_000, ...calm }))
    assert.ok(isPoison({ alone: 3, longestMs: 20_000, ...calm }))
  })

  it('is not one death or two, nor deaths as others die them', () => {
    assert.ok(!isPoison({ alone: 1, longestMs: 10, ...calm }))
    assert.ok(!isPoison({ alone: 8, longestMs: 4_000, others: 20, othersRanMs: 60_000 }))
  })

  it('takes patience where nothing else ever ran', () => {
    const unknown = { others: 0, othersRanMs: 0 }
    assert.ok(!isPoison({ alone: 4, longestMs: 4_000, ...unknown }))
    assert.ok(isPoison({ alone: 3, longestMs: 100, ...unknown }))
  })

  it('gives back the share of storms that look as bad, when workers die at random', () => {
    const rng = new SeededRng('storms')
    const others = { others: 200, othersRanMs: 400_000 }
    let doubted = 0
    const storms = 20_000
    for (let n = 0; n < storms; n += 1) {
      const lives = Array.from({ length: 4 }, () => -Math.log((1 + rng.int(1e6)) / 1e6) * 2_000)
      const deaths: Deaths = { alone: 4, longestMs: Math.max(...lives), ...others }
      if (chanceOfInnocence(deaths) < 0.05) doubted += 1
    }
    assert.ok(doubted / storms < 0.055, `${doubted} of ${storms}`)
  })
})

describe('runs of one process', () => {
  const never = new AbortController().signal

  it('share it until one needs it alone, and nobody overtakes that one', async () => {
    const gate = new Solitude()
    const order: string[] = []
    const enter = async (name: string, alone = false) => {
      const leave = await gate.enter(alone, never)
      order.push(name)
      return leave
    }
    const [a, b] = [await enter('a'), await enter('b')]
    const lone = enter('lone', true)
    const c = enter('c')
    a()
    await Promise.resolve()
    assert.deepEqual(order, ['a', 'b'])
    b()
    const leave = await lone
    assert.deepEqual(order, ['a', 'b', 'lone'])
    leave()
    ;(await c)()
    assert.deepEqual(order, ['a', 'b', 'lone', 'c'])
  })

  it('let the next in when one gives up waiting', async () => {
    const gate = new Solitude()
    const leave = await gate.enter(false, never)
    const impatient = new AbortController()
    const lone = gate.enter(true, impatient.signal)
    const next = gate.enter(false, never)
    impatient.abort(new Error('enough'))
    await assert.rejects(lone, /enough/)
    ;(await next)()
    leave()
    ;(await gate.enter(true, never))()
  })
})
