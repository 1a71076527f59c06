import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { BuiltinStore, Delivery } from '#src/storage/index.js'
import { tempFolder } from '../support/clips.js'

/** Between two tries nothing is waited for. */
class HastyClock extends SystemClock {
  override async sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
  }
}

test('a result that cannot be reached is not left in the store, and its end was noted before', async (t) => {
  const dir = await tempFolder(t)
  const [clock, rng] = [new HastyClock(), new SystemRng()]
  const store = await BuiltinStore.open(
    { dir: join(dir, 'store') },
    { clock, rng, log: silentLog() },
  )
  const port = await store.listen('127.0.0.1', 0)
  t.after(() => store.close())
  const noted: string[] = []
  const schedule = {
    schedule: async (key: string) => {
      if (noted.length === 0) await assert.rejects(store.get(key), { code: 'STORAGE_NOT_FOUND' })
      noted.push(key)
    },
  }
  const fetcher = new GuardedFetcher({ allowPrivate: true })
  const delivery = new Delivery({}, { store, schedule, clock, rng, fetcher })
  const path = join(dir, 'result.mp4')
  await writeFile(path, 'bytes')
  const file = { path, folder: 'upscaling', hotkey: 'h' }
  const { signal } = new AbortController()
  const { key } = await delivery.deliver(file, signal)
  assert.deepEqual(noted, [key, key])
  store.announce(`http://127.0.0.1:${port}/elsewhere`)
  await assert.rejects(delivery.deliver(file, signal), { code: 'STORAGE_UNREACHABLE' })
  assert.equal(noted.length, 3)
  const kept: string[] = []
  for await (const object of store.list('upscaling/')) kept.push(object.key)
  assert.deepEqual(kept, [key])
})
