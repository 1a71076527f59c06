import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import type { Engine, EngineContext, VideoResult } from '#src/engines/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { SystemRng } from '#src/lib/rng.js'
import { LocalRunner } from '#src/miner/runners.js'
import type { Delivery } from '#src/storage/index.js'
import { makeClip, tempFolder } from '../../support/clips.js'
import { ClipServer } from '../../support/miner.js'

const clock = new SystemClock()

/** Works until it is told to stop. */
class Endless implements Engine<object, VideoResult> {
  readonly name = 'endless'
  stopped = false
  async ready(): Promise<void> {}
  async run(_input: object, { signal }: EngineContext): Promise<VideoResult> {
    await clock.sleep(600_000, signal).finally(() => {
      this.stopped = true
    })
    throw new Error('it never ends by itself')
  }
  async close(): Promise<void> {}
}

test('an engine that hangs is ended at its share of the time, with the stage in the error', async (t) => {
  const folder = await tempFolder(t)
  await makeClip(join(folder, 'in.mp4'), { frames: 4 })
  const clips = await ClipServer.start(folder)
  t.after(() => clips.close())
  const fetcher = new GuardedFetcher({ allowPrivate: true, allowHttp: true })
  // Never reached: the engine comes to no result.
  const delivery = {} as Delivery
  const engine = new Endless()
  const runner = new LocalRunner(
    { kind: 'upscale', paramsOf: () => ({}), maxInputBytes: 1_000_000 },
    { engine, fetcher, delivery, clock, rng: new SystemRng() },
  )
  const run = runner.run(
    { url: clips.url('/in.mp4') },
    {
      ...{
        hotkey: 'h',
        jobId: 'j',
        workDir: await tempFolder(t),
        leftMs: 4_000,
        onProgress: () => {},
      },
      signal: new AbortController().signal,
    },
  )
  await assert.rejects(run, (error: Error & { data: { code: string; stage: string } }) => {
    assert.deepEqual([error.data.code, error.data.stage], ['MINER_STAGE_LATE', 'engine'])
    return true
  })
  assert.ok(engine.stopped)
})
