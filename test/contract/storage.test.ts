import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { SubnetError } from '#src/lib/errors.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { BuiltinStore, checkReachable, putToUrl, resultKey } from '#src/storage/index.js'
import type { ObjectStore } from '#src/storage/types.js'
import { DirStorage } from '../support/dir-storage.js'
import { openS3, type S3Server, startInstalled, startSeaweed } from '../support/s3.js'

const clock = new SystemClock()
const rng = new SystemRng()

interface Backend {
  readonly name: string
  open(dir: string): Promise<{ store: ObjectStore; close(): Promise<void> }>
}

const dirBackend: Backend = {
  name: 'folder',
  open: async (dir) => {
    const store = await DirStorage.open(dir)
    return { store, close: () => store.close() }
  },
}

const builtinBackend: Backend = {
  name: 'built-in',
  open: async (dir) => {
    const store = await BuiltinStore.open({ dir }, { clock, rng, log: silentLog() })
    await store.listen('127.0.0.1', 0)
    return { store, close: () => store.close() }
  },
}

function s3Backend(name: string, start: () => Promise<S3Server>): Backend {
  return {
    name,
    open: async () => {
      const server = await start()
      const store = await openS3(server.endpoint)
      const close = async () => {
        await store.close()
        await server.close()
      }
      return { store, close }
    },
  }
}

const backends = [dirBackend, builtinBackend, s3Backend('SeaweedFS', startSeaweed)]
for (const name of ['minio', 'versitygw'] as const) {
  // Further real servers where their programs are installed: one more opinion on the same driver.
  const server = await startInstalled(name)
  if (server !== undefined) backends.push(s3Backend(name, async () => server))
}

const hasCode = (code: string) => (error: unknown) =>
  error instanceof SubnetError && error.code === code
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

async function bytesOf(stream: Readable): Promise<Buffer> {
  return Buffer.concat(await stream.toArray())
}

for (const backend of backends) {
  describe(`storage contract: ${backend.name}`, () => {
    let dir = ''
    let opened: Awaited<ReturnType<Backend['open']>> | undefined
    const store = (): ObjectStore => {
      assert.ok(opened)
      return opened.store
    }
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'subreel-store-'))
      opened = await backend.open(join(dir, 'store'))
    })
    after(async () => {
      await opened?.close()
      await rm(dir, { recursive: true, force: true })
    })
    let count = 0
    const newKey = (folder = 'upscaling') => {
      count += 1
      return resultKey({ folder, hotkey: `hotkey ${count}`, extension: 'mp4', rng })
    }
    async function file(data: Uint8Array): Promise<string> {
      count += 1
      const path = join(dir, `in${count}.mp4`)
      await writeFile(path, data)
      return path
    }

    it('gives back the bytes, size and hash of what was put', async () => {
      const data = randomBytes(70_000)
      const key = newKey()
      const stored = await store().putFile(key, await file(data))
      assert.deepEqual(stored, { key, sizeBytes: data.length, sha256: sha256(data) })
      assert.ok(data.equals(await bytesOf(await store().get(key))))
    })

    it('stores 20 MB whole', async () => {
      const data = randomBytes(20_000_123)
      const key = newKey()
      assert.equal((await store().putFile(key, await file(data))).sha256, sha256(data))
      assert.equal(sha256(await bytesOf(await store().get(key))), sha256(data))
      await store().delete(key)
    })

    it('stores an empty file', async () => {
      const key = newKey()
      assert.equal((await store().putFile(key, await file(Buffer.alloc(0)))).sizeBytes, 0)
      assert.equal((await bytesOf(await store().get(key))).length, 0)
    })

    it('replaces an object', async () => {
      const key = newKey()
      await store().putFile(key, await file(Buffer.from('first')))
      await store().putFile(key, await file(Buffer.from('second')))
      assert.equal(String(await bytesOf(await store().get(key))), 'second')
    })

    it('says that a missing object is missing', async () => {
      await assert.rejects(store().get(newKey()), hasCode('STORAGE_NOT_FOUND'))
    })

    it('deletes, and deletes what is not there', async () => {
      const key = newKey()
      await store().putFile(key, await file(Buffer.from('x')))
      await store().delete(key)
      await store().delete(key)
      await assert.rejects(store().get(key), hasCode('STORAGE_NOT_FOUND'))
    })

    it('lists keys below a prefix in order, with size and age', async () => {
      const keys = [newKey('listing'), newKey('listing'), newKey('listing')].sort()
      for (const key of keys) await store().putFile(key, await file(Buffer.from('12345')))
      await store().putFile(newKey('other'), await file(Buffer.from('1')))
      const seen = []
      for await (const entry of store().list('listing/')) seen.push(entry)
      assert.deepEqual(
        seen.map(({ key, sizeBytes }) => [key, sizeBytes]),
        keys.map((key) => [key, 5]),
      )
      for (const { modifiedMs } of seen) assert.ok(Math.abs(clock.now() - modifiedMs) < 60_000)
    })

    it('serves an object under a signed URL, also in ranges', async () => {
      const data = randomBytes(5_000)
      const key = newKey()
      await store().putFile(key, await file(data))
      const url = await store().presignGet(key, 600)
      const whole = await fetch(url)
      assert.equal(whole.status, 200)
      assert.ok(data.equals(Buffer.from(await whole.arrayBuffer())))
      const part = await fetch(url, { headers: { range: 'bytes=100-199' } })
      assert.equal(part.status, 206)
      assert.equal(part.headers.get('content-range'), 'bytes 100-199/5000')
      assert.ok(data.subarray(100, 200).equals(Buffer.from(await part.arrayBuffer())))
      await checkReachable(url, data.length, new GuardedFetcher({ allowPrivate: true }))
    })

    it('refuses an altered signature, key or method and a request without signature', async () => {
      const key = newKey()
      await store().putFile(key, await file(Buffer.from('mine')))
      const other = newKey()
      await store().putFile(other, await file(Buffer.from('theirs')))
      const url = new URL(await store().presignGet(key, 600))
      const altered = new URL(url)
      const parameter = [...url.searchParams.keys()].find((name) => /signature|ticket/i.test(name))
      assert.ok(parameter)
      const value = altered.searchParams.get(parameter) ?? ''
      const flipped = value.startsWith('a') ? 'b' : 'a'
      altered.searchParams.set(parameter, flipped + value.slice(1))
      const otherKey = new URL(url)
      otherKey.pathname = otherKey.pathname.replace(key, other)
      const cases = {
        altered: await fetch(altered),
        otherKey: await fetch(otherKey),
        method: await fetch(url, { method: 'PUT', body: 'x' }),
        unsigned: await fetch(`${url.origin}${url.pathname}`),
      }
      for (const [name, { status }] of Object.entries(cases)) assert.equal(status, 403, name)
      assert.equal(String(await bytesOf(await store().get(key))), 'mine')
    })

    it('refuses a signed URL once its time is over', async () => {
      const key = newKey()
      await store().putFile(key, await file(Buffer.from('x')))
      const url = await store().presignGet(key, 1)
      let status = 0
      for (let n = 0; n < 50 && status !== 403; n += 1) {
        const response = await fetch(url)
        await response.arrayBuffer()
        status = response.status
        await clock.sleep(100)
      }
      assert.equal(status, 403)
    })

    it('takes an upload under a signed URL', async () => {
      const data = randomBytes(30_000)
      const key = newKey()
      const url = await store().presignPut(key, 60)
      const fetcher = new GuardedFetcher({ allowPrivate: true })
      await putToUrl(url, await file(data), { fetcher, clock, rng })
      assert.ok(data.equals(await bytesOf(await store().get(key))))
      assert.equal((await fetch(url)).status, 403)
    })

    it('signs for 1 to 604800 seconds and nothing else', async () => {
      const key = newKey()
      for (const good of [1, 600, 604_800]) {
        assert.match(await store().presignGet(key, good), /^http/)
      }
      for (const bad of [0, -1, 604_801, 1.5, Number.NaN]) {
        await assert.rejects(store().presignGet(key, bad), hasCode('STORAGE_BAD_EXPIRY'), `${bad}`)
        await assert.rejects(store().presignPut(key, bad), hasCode('STORAGE_BAD_EXPIRY'), `${bad}`)
      }
    })

    it('refuses keys that are no plain names', async () => {
      for (const bad of ['', '/', 'a//b', '../x', 'a/../b', 'a/.', 'a b', 'a\\b', 'a%2e', 'ä']) {
        await assert.rejects(store().get(bad), hasCode('STORAGE_BAD_KEY'), bad)
        await assert.rejects(store().presignGet(bad, 60), hasCode('STORAGE_BAD_KEY'), bad)
      }
    })

    it('leaves nothing of an upload that was aborted', async () => {
      const path = join(dir, 'large.mp4')
      await writeFile(path, '')
      await truncate(path, 40_000_000)
      const key = newKey('aborted')
      const abort = new AbortController()
      const put = store().putFile(key, path, { signal: abort.signal })
      setImmediate(() => abort.abort())
      await assert.rejects(put)
      for await (const entry of store().list('aborted/')) assert.fail(entry.key)
    })

    it('finds a result URL unreachable when the object is gone', async () => {
      const key = newKey()
      await store().putFile(key, await file(Buffer.from('x')))
      const url = await store().presignGet(key, 60)
      await store().delete(key)
      await assert.rejects(
        checkReachable(url, 1, new GuardedFetcher({ allowPrivate: true })),
        hasCode('STORAGE_UNREACHABLE'),
      )
    })
  })
}
