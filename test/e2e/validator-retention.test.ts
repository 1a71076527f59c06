import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { BuiltinStore } from '#src/storage/index.js'
import { StorePayloads } from '#src/validator/adapters.js'
import { RetentionDuty } from '#src/validator/duties/retention.js'
import { FakeClock } from '../support/fake-clock.js'

const HOUR_MS = 3_600_000

it('deletes the challenges that a killed validator left, and no others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'subreel-retention-'))
  const clock = new FakeClock(Date.now())
  const store = await BuiltinStore.open({ dir }, { clock, rng: new SystemRng(), log: silentLog() })
  try {
    const payloads = new StorePayloads(store)
    const clip = join(dir, 'clip.mp4')
    await writeFile(clip, 'a challenge')
    const { key } = await payloads.publish(clip, 600, new AbortController().signal)
    await store.putFile('compression/aa/result.mp4', clip)
    const keys = async () => {
      const found: string[] = []
      for await (const object of store.list('')) found.push(object.key)
      return found
    }
    const nothing = { prune: async () => 0 }
    const duty = new RetentionDuty(90, { rounds: nothing, tasks: nothing, payloads, clock })

    assert.ok('skipped' in (await duty.run()))
    assert.deepEqual(await keys(), ['compression/aa/result.mp4', key])
    await clock.advance(25 * HOUR_MS)
    assert.ok('done' in (await duty.run()))
    assert.deepEqual(await keys(), ['compression/aa/result.mp4'])
  } finally {
    await store.close()
    await rm(dir, { recursive: true })
  }
})
