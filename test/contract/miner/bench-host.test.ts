import assert from 'node:assert/strict'
import test from 'node:test'
import type { Engine, VideoResult } from '#src/engines/index.js'
import { measureSlots } from '#src/miner/bench-host.js'
import { FakeClock } from '../../support/fake-clock.js'

const signal = new AbortController().signal

test('a host is measured on what its engine already knows, not on the first look at the clip', async () => {
  const clock = new FakeClock()
  let runs = 0
  let core = Promise.resolve()
  const engine: Engine<object, VideoResult> = {
    name: 'learner',
    ready: async () => {},
    run: async () => {
      runs += 1
      const ms = runs === 1 ? 10_000 : 1_000
      // One core: jobs side by side wait for each other.
      core = core.then(() => clock.advance(ms))
      await core
      return {} as VideoResult
    },
    close: async () => {},
  }
  const measured = await measureSlots({
    ...{ engine, params: {}, maxSlots: 8, frames: 2, clock, signal },
  })
  assert.deepEqual(measured, [
    { slots: 1, jobsPerMinute: 60 },
    { slots: 2, jobsPerMinute: 60 },
  ])
})
