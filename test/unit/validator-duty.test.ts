import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { DONE, type Duty, runDuty, skipped } from '#src/validator/duty.js'
import { createMetrics } from '#src/validator/metrics.js'
import { FakeClock } from '../support/fake-clock.js'

/** Runs a duty until it has been called so often, and returns its counts by result. */
async function counts(calls: number, run: Duty['run'], deadlineMs = 1_000) {
  const registry = createRegistry()
  const metrics = createMetrics(registry)
  const clock = new FakeClock()
  const stop = new AbortController()
  let called = 0
  const duty: Duty = {
    ...{ name: 'test', everyMs: 10, deadlineMs },
    run: (signal, stopping) => {
      called += 1
      if (called === calls) stop.abort()
      return run(signal, stopping)
    },
  }
  const running = runDuty(duty, { clock, log: silentLog(), metrics }, stop.signal)
  while (!stop.signal.aborted) await clock.advance(10)
  await running
  const { values } = await metrics.dutyRuns.get()
  return Object.fromEntries(values.map(({ labels, value }) => [labels.result, value]))
}

describe('a duty', () => {
  it('is counted by how its runs end', async () => {
    let turn = 0
    const run = async () => {
      turn += 1
      if (turn === 1) throw new Error('broken')
      return turn === 2 ? skipped('nothing to do') : DONE
    }
    assert.deepEqual(await counts(4, run), { failed: 1, skipped: 1, done: 2 })
  })

  it('that takes too long is aborted and runs again', async () => {
    let turn = 0
    const run: Duty['run'] = (signal) => {
      turn += 1
      if (turn > 1) return Promise.resolve(DONE)
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      )
    }
    const found = await counts(2, run, 5)
    assert.equal(found['failed'], 1)
    assert.equal(found['done'], 1)
  })

  it('tells work that outlives a run when the validator stops, not when the run is over', async () => {
    const seen: AbortSignal[] = []
    await counts(2, async (_signal, stopping) => {
      seen.push(stopping)
      return DONE
    })
    assert.ok(seen.every((signal) => signal.aborted && signal === seen[0]))
  })
})
