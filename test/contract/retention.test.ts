import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Redis } from 'ioredis'
import { SystemClock } from '#src/lib/clock.js'
import { SubnetError } from '#src/lib/errors.js'
import { silentLog } from '#src/lib/log.js'
import { mapLimit } from '#src/lib/loop.js'
import { SystemRng } from '#src/lib/rng.js'
import { loadSigningKey } from '#src/storage/builtin/signer.js'
import { RedisSchedule, Retention, StorageError } from '#src/storage/index.js'
import type { ObjectStore } from '#src/storage/types.js'
import { DirStorage } from '../support/dir-storage.js'
import { TestRedis } from '../support/redis.js'
import { openS3, startSeaweed } from '../support/s3.js'

/** The machine's clock, moved by hand. */
class ShiftedClock extends SystemClock {
  shiftMs = 0

  override now(): number {
    return super.now() + this.shiftMs
  }
}

describe('retention', () => {
  const clock = new ShiftedClock()
  let dir = ''
  let redis: TestRedis | undefined
  let client: Redis | undefined
  let store: DirStorage | undefined
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'subreel-retention-'))
    redis = await TestRedis.start()
    client = new Redis(redis.url, { maxRetriesPerRequest: null })
    client.on('error', () => {})
    store = await DirStorage.open(join(dir, 'store'))
    await writeFile(join(dir, 'file'), 'bytes')
  })
  after(async () => {
    client?.disconnect()
    await store?.close()
    await redis?.close()
    await rm(dir, { recursive: true, force: true })
  })

  function open(over: Partial<ObjectStore> = {}) {
    assert.ok(client && store)
    const inner = store
    const schedule = new RedisSchedule(client)
    const watched: ObjectStore = {
      kind: 'dir',
      putFile: (key, path) => inner.putFile(key, path),
      get: (key) => inner.get(key),
      delete: (key) => inner.delete(key),
      list: (prefix) => inner.list(prefix),
      presignGet: (key, seconds) => inner.presignGet(key, seconds),
      presignPut: (key, seconds) => inner.presignPut(key, seconds),
      close: async () => {},
      ...over,
    }
    const options = { folders: ['upscaling'], maxAgeMs: 600_000 }
    const retention = new Retention(options, {
      store: watched,
      schedule,
      clock,
      log: silentLog(),
    })
    const put = (key: string) => inner.putFile(key, join(dir, 'file'))
    return { retention, schedule, put }
  }

  async function keys(): Promise<string[]> {
    assert.ok(store)
    const seen = []
    for await (const { key } of store.list('')) seen.push(key)
    return seen
  }

  it('deletes what is due and nothing before its time', async () => {
    const { retention, put, schedule } = open()
    await retention.schedule('upscaling/a', clock.now() + 1_000)
    await put('upscaling/a')
    assert.deepEqual(await retention.sweepDue(), { deleted: 0, failed: 0 })
    clock.shiftMs += 1_000
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 0 })
    assert.deepEqual(await keys(), [])
    assert.equal(await schedule.dieAt('upscaling/a'), undefined)
  })

  it('moves the date when a key is scheduled again', async () => {
    const { retention, put } = open()
    await retention.schedule('upscaling/b', clock.now() + 60_000)
    await put('upscaling/b')
    await retention.schedule('upscaling/b', clock.now())
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 0 })
  })

  it('forgets a key whose object never came to be', async () => {
    const { retention } = open()
    await retention.schedule('upscaling/never', clock.now())
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 0 })
    assert.deepEqual(await retention.sweepDue(), { deleted: 0, failed: 0 })
  })

  it('keeps a failed deletion for the next sweep and goes on with the others', async () => {
    let broken = true
    const { retention, put } = open({
      delete: async (key) => {
        if (broken && key.endsWith('c')) {
          throw new StorageError(
            { code: 'STORAGE_UNAVAILABLE', operation: 'DeleteObject', status: 503 },
            'down',
          )
        }
        await store?.delete(key)
      },
    })
    for (const key of ['upscaling/c', 'upscaling/d']) {
      await retention.schedule(key, clock.now())
      await put(key)
    }
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 1 })
    assert.deepEqual(await keys(), ['upscaling/c'])
    broken = false
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 0 })
    assert.deepEqual(await keys(), [])
  })

  it('remembers through a kill of Redis', async () => {
    const { retention, put } = open()
    await retention.schedule('upscaling/e', clock.now() + 5_000)
    await put('upscaling/e')
    await redis?.kill()
    await redis?.up()
    clock.shiftMs += 5_000
    assert.deepEqual(await retention.sweepDue(), { deleted: 1, failed: 0 })
    assert.deepEqual(await keys(), [])
  })

  it('finds objects that a flushed Redis forgot, only when nothing could want them', async () => {
    const { retention, put } = open()
    await put('upscaling/f')
    await put('upscaling/g')
    await put('elsewhere/h')
    await client?.flushall()
    await retention.schedule('upscaling/g', clock.now() + 7_200_000)
    assert.deepEqual(await retention.sweepOrphans(), { deleted: 0, failed: 0 })
    clock.shiftMs += 600_000 + 61_000
    assert.deepEqual(await retention.sweepOrphans(), { deleted: 1, failed: 0 })
    assert.deepEqual(await keys(), ['elsewhere/h', 'upscaling/g'])
  })

  it('empties a real bucket of what is due and what was forgotten, however long its list', async (t) => {
    assert.ok(client)
    const server = await startSeaweed()
    const bucket = await openS3(server.endpoint)
    t.after(async () => {
      await bucket.close()
      await server.close()
    })
    const schedule = new RedisSchedule(client, '{bucket}')
    const ahead = new ShiftedClock()
    const retention = new Retention(
      { folders: ['upscaling'], maxAgeMs: 600_000 },
      { store: bucket, schedule, clock: ahead, log: silentLog() },
    )
    const left = async () => {
      let count = 0
      for await (const _ of bucket.list('')) count += 1
      return count
    }
    // The list comes in pages of a thousand; what was forgotten is at its end.
    const names = Array.from({ length: 1_005 }, (_, n) => `upscaling/${1_000 + n}`)
    await mapLimit(names, 32, (key) => bucket.putFile(key, join(dir, 'file')))
    await bucket.putFile('elsewhere/x', join(dir, 'file'))
    for (const key of names.slice(0, 2)) await retention.schedule(key, ahead.now() + 1_000)
    for (const key of names.slice(2, 1_002)) await retention.schedule(key, ahead.now() + 7_200_000)
    ahead.shiftMs += 1_000
    assert.deepEqual(await retention.sweepDue(), { deleted: 2, failed: 0 })
    assert.deepEqual(await retention.sweepOrphans(), { deleted: 0, failed: 0 })
    assert.equal(await left(), 1_004)
    ahead.shiftMs += 600_000 + 61_000
    assert.deepEqual(await retention.sweepOrphans(), { deleted: 3, failed: 0 })
    assert.equal(await left(), 1_001)
  })

  it('keeps one signing key, readable by its owner only', async () => {
    const path = join(dir, 'keys', 'url-signing.key')
    const rng = new SystemRng()
    const [first, second] = await Promise.all([
      loadSigningKey(path, rng),
      loadSigningKey(path, rng),
    ])
    assert.deepEqual(first.reveal(), second.reveal())
    assert.equal((await readFile(path)).length, 32)
    await chmod(path, 0o644)
    await assert.rejects(
      loadSigningKey(path, rng),
      (error: unknown) => error instanceof SubnetError && error.code === 'STORAGE_KEY_EXPOSED',
    )
  })
})
