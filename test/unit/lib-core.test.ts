import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { canonicalJson } from '#src/lib/canonical.js'
import { SystemClock } from '#src/lib/clock.js'
import { isAbort, SubnetError } from '#src/lib/errors.js'
import { createLog } from '#src/lib/log.js'
import { mapLimit } from '#src/lib/loop.js'
import { Resources } from '#src/lib/resources.js'
import { retry, retryDelayMs } from '#src/lib/retry.js'
import { SeededRng, shuffle } from '#src/lib/rng.js'
import { Secret } from '#src/lib/secret.js'

describe('lib', () => {
  it('prints a secret as [Redacted] in strings, JSON and inspection', () => {
    const secret = new Secret('hunter2')
    const seen = `${secret} ${JSON.stringify({ secret })} ${inspect({ secret }, { depth: 9 })}`
    assert.ok(!seen.includes('hunter2'), seen)
    assert.equal(secret.reveal(), 'hunter2')
  })

  it('changes the level of a log for its children too, and of a child for itself alone', () => {
    const lines: string[] = []
    const log = createLog('test', { destination: { write: (line) => void lines.push(line) } })
    const [one, other] = [log.child({ component: 'one' }), log.child({ component: 'other' })]
    log.level = 'debug'
    other.level = 'error'
    for (const each of [log, one, other]) each.debug({ event: 'test.ran' }, 'said')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).component),
      [undefined, 'one'],
    )
  })

  it('draws the same numbers from the same seed and others from another', () => {
    const draw = (seed: string) => shuffle(new SeededRng(seed), [...Array(50).keys()])
    assert.deepEqual(draw('block'), draw('block'))
    assert.notDeepEqual(draw('block'), draw('other'))
  })

  it('releases resources in reverse order and all of them although one throws', async () => {
    const order: string[] = []
    const resources = new Resources()
    resources.defer('a', () => void order.push('a'))
    resources.defer('b', () => {
      throw new Error('b')
    })
    resources.defer('c', () => void order.push('c'))
    await assert.rejects(resources.close(), AggregateError)
    assert.deepEqual(order, ['c', 'a'])
  })

  it('retries what says it may be retried and nothing else', async () => {
    const context = { clock: new SystemClock(), rng: new SeededRng('x') }
    const policy = { attempts: 3, baseMs: 1, maxMs: 2 }
    let calls = 0
    const failing = (retryable: boolean) => async () => {
      calls += 1
      throw new SubnetError({ code: 'T' }, 'no', { retryable })
    }
    await assert.rejects(retry(policy, context, failing(true)))
    assert.equal(calls, 3)
    calls = 0
    await assert.rejects(retry(policy, context, failing(false)))
    assert.equal(calls, 1)
  })

  it('caps the delay', () => {
    assert.equal(retryDelayMs({ attempts: 9, baseMs: 100, maxMs: 400, jitter: 0 }, 8, 0.9), 400)
  })

  it('knows an abort behind wrappers', () => {
    const abort = AbortSignal.abort().reason
    assert.ok(isAbort(new Error('outer', { cause: abort })))
    assert.ok(!isAbort(new Error('outer')))
  })

  it('keeps nanosecond stamps strictly rising', () => {
    const clock = new SystemClock()
    let last = 0n
    for (let i = 0; i < 10_000; i += 1) {
      const now = clock.nowNs()
      assert.ok(now > last, `stamp ${i}`)
      last = now
    }
  })

  it('maps with a limit and keeps the order', async () => {
    let running = 0
    let peak = 0
    const out = await mapLimit([5, 1, 4, 2], 2, async (n) => {
      running += 1
      peak = Math.max(peak, running)
      await new Promise((resolve) => setTimeout(resolve, n))
      running -= 1
      return n * 2
    })
    assert.deepEqual(out, [10, 2, 8, 4])
    assert.equal(peak, 2)
  })

  it('writes canonical JSON with sorted keys at every depth', () => {
    assert.equal(canonicalJson({ b: [{ d: 1, c: 2 }], a: null }), '{"a":null,"b":[{"c":2,"d":1}]}')
  })
})
