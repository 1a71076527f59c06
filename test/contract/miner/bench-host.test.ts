import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { command } from '#src/cli/commands/bench-host.js'
import type { Engine, VideoResult } from '#src/engines/index.js'
import { measureSlots } from '#src/miner/bench-host.js'
import { tempFolder } from '../../support/clips.js'
import { FakeClock } from '../../support/fake-clock.js'
import { installFakeVideo2x } from '../../support/fake-video2x.js'

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

test('no more is tried at once than the devices of the engine can run', async () => {
  const engine: Engine<object, VideoResult> = {
    name: 'one GPU',
    ready: async () => {},
    run: async () => ({}) as VideoResult,
    capacity: async () => 1,
    close: async () => {},
  }
  const clock = new FakeClock()
  const measured = await measureSlots({
    ...{ engine, params: {}, maxSlots: 8, frames: 2, clock, signal },
  })
  assert.deepEqual(
    measured.map(({ slots }) => slots),
    [1],
  )
})

test('the command measures the engines of the settings and writes what to set', async (t) => {
  const folder = await tempFolder(t)
  const path = await installFakeVideo2x(folder)
  const file = join(folder, 'miner.toml')
  const lines: string[] = []
  const io = { out: (line: string) => lines.push(line), err: assert.fail, env: {}, signal }
  const settings = [`--video2x.path=${path}`, '--upscale.engine=video2x', '--device=cpu']
  const own = ['--frames', '2', '--codec', 'h264', '--write', file]
  assert.equal(await command.run([...own, ...settings], io), 0)
  assert.match(lines.join('\n'), /^upscaling: 1 at once, [\d.]+ clips a minute$/m)
  const written = await readFile(file, 'utf8')
  assert.match(written, /upscale_slots = \d/)
  assert.match(written, /compress_slots = \d/)
  await assert.rejects(
    command.run([...own, '--video2x.path=/nowhere', '--upscale.engine=video2x'], io),
    {
      code: 'ENGINE_UNAVAILABLE',
    },
  )
})
