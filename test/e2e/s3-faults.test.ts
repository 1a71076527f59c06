import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { SystemClock } from '#src/lib/clock.js'
import { SubnetError } from '#src/lib/errors.js'
import { SeededRng, SystemRng } from '#src/lib/rng.js'
import { Secret } from '#src/lib/secret.js'
import { resultKey, type S3Store } from '#src/storage/index.js'
import { FaultyProxy } from '../support/faulty-proxy.js'
import { scratch } from '../support/miner.js'
import { openS3, type S3Server, startSeaweed, testS3Options } from '../support/s3.js'

const clock = new SystemClock()
const hasCode = (code: string) => (error: unknown) =>
  error instanceof SubnetError && error.code === code

describe('a bucket that fails', () => {
  let server: S3Server
  let proxy: FaultyProxy
  let store: S3Store
  let dir = ''
  let remove = async () => {}

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    server = await startSeaweed()
    proxy = await FaultyProxy.start(server.endpoint, new SeededRng('faults'))
    store = await openS3(proxy.endpoint, { requestTimeoutMs: 5_000 })
  })
  after(async () => {
    await store.close()
    await proxy.close()
    await server.close()
    await remove()
  })

  const newKey = () =>
    resultKey({ folder: 'upscaling', hotkey: 'x', extension: 'mp4', rng: new SystemRng() })

  async function unfinishedUploads(): Promise<number> {
    const { bucket, region, endpoint, accessKey, secretKey } = testS3Options(server.endpoint)
    const client = new S3Client({
      region,
      endpoint: endpoint ?? '',
      forcePathStyle: true,
      credentials: { accessKeyId: accessKey.reveal(), secretAccessKey: secretKey.reveal() },
    })
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    client.destroy()
    return Uploads?.length ?? 0
  }

  it('stores every object although three requests in ten fail', async () => {
    proxy.rate = 0.3
    const data = randomBytes(12_000_000)
    const large = join(dir, 'large.mp4')
    const small = join(dir, 'small.mp4')
    await writeFile(large, data)
    await writeFile(small, data.subarray(0, 5_000))
    const puts = Array.from({ length: 40 }, async (_, n) => {
      const key = newKey()
      const stored = await store.putFile(key, n % 10 === 0 ? large : small)
      return { key, stored }
    })
    const done = await Promise.all(puts)
    proxy.rate = 0
    assert.ok(proxy.faults > 15, `${proxy.faults} of ${proxy.requests} requests failed`)
    for (const { key, stored } of done) {
      const hash = createHash('sha256')
      for await (const chunk of await store.get(key)) hash.update(chunk)
      assert.equal(hash.digest('hex'), stored.sha256, key)
    }
    assert.equal(await unfinishedUploads(), 0)
  })

  it('deletes every object although three requests in ten fail', async () => {
    proxy.rate = 0.3
    const keys: string[] = []
    for await (const { key } of store.list('upscaling/')) keys.push(key)
    await Promise.all(keys.map((key) => store.delete(key)))
    proxy.rate = 0
    for await (const { key } of store.list('upscaling/')) assert.fail(key)
  })

  it('leaves no part behind of an upload that was given up', async () => {
    const path = join(dir, 'huge.mp4')
    await writeFile(path, randomBytes(40_000_000))
    const abort = new AbortController()
    const before = proxy.requests
    const put = store.putFile(newKey(), path, { signal: abort.signal })
    const failed = assert.rejects(put)
    while (proxy.requests < before + 3) await clock.sleep(1)
    abort.abort()
    await failed
    assert.equal(await unfinishedUploads(), 0)
    for await (const { key } of store.list('upscaling/')) assert.fail(key)
    await rm(path)
  })

  it('aborts what a killed process left unfinished', async () => {
    const sdk = await import('@aws-sdk/client-s3')
    const { bucket, region, endpoint, accessKey, secretKey } = testS3Options(server.endpoint)
    const client = new S3Client({
      region,
      endpoint: endpoint ?? '',
      forcePathStyle: true,
      credentials: { accessKeyId: accessKey.reveal(), secretAccessKey: secretKey.reveal() },
    })
    await client.send(
      new sdk.CreateMultipartUploadCommand({ Bucket: bucket, Key: 'upscaling/left.mp4' }),
    )
    client.destroy()
    assert.equal(await unfinishedUploads(), 1)
    assert.equal(await store.abortStaleUploads('upscaling/', clock.now() - 3_600_000), 0)
    assert.equal(await store.abortStaleUploads('upscaling/', clock.now() + 60_000), 1)
    assert.equal(await unfinishedUploads(), 0)
  })

  it('says what is wrong with keys or bucket at once, without trying again', async () => {
    const cases = [
      [{ secretKey: new Secret('wrong') }, 'STORAGE_DENIED'],
      [{ accessKey: new Secret('nobody') }, 'STORAGE_DENIED'],
      [{ bucket: 'no-such-bucket' }, 'STORAGE_BUCKET_MISSING'],
    ] as const
    for (const [change, code] of cases) {
      const wrong = await openS3(proxy.endpoint, change)
      const before = proxy.requests
      await assert.rejects(wrong.check(), hasCode(code), code)
      assert.equal(proxy.requests, before + 1, code)
      await wrong.close()
    }
  })

  it('is sent again what broke on its way, whole files and parts', async () => {
    for (const bytes of [5_000, 12_000_000]) {
      const path = join(dir, 'spoilt.mp4')
      await writeFile(path, randomBytes(bytes))
      let spoilt = 0
      proxy.spoils = ({ method }) => {
        if (method !== 'PUT' || spoilt === 2) return false
        spoilt += 1
        return true
      }
      const key = newKey()
      const { sha256 } = await store.putFile(key, path)
      const stored = Buffer.concat(await (await store.get(key)).toArray())
      assert.equal(createHash('sha256').update(stored).digest('hex'), sha256)
      assert.equal(spoilt, 2)
      await store.delete(key)
    }
    proxy.spoils = () => false
  })

  describe('that hangs', () => {
    const isPart = ({ url }: { readonly url?: string | undefined }) =>
      url?.includes('partNumber=') === true
    let impatient: S3Store
    let path = ''

    before(async () => {
      impatient = await openS3(proxy.endpoint, { requestTimeoutMs: 1_000 })
      path = join(dir, 'parts.mp4')
      await writeFile(path, randomBytes(12_000_000))
    })
    after(() => impatient.close())

    it('is asked again in time, and the upload is whole', async () => {
      let parts = 0
      proxy.hangs = (request) => {
        if (!isPart(request)) return undefined
        parts += 1
        return parts === 1 ? 'all' : parts === 2 ? 'body' : undefined
      }
      const key = newKey()
      const { sha256 } = await impatient.putFile(key, path)
      const stored = Buffer.concat(await (await impatient.get(key)).toArray())
      assert.equal(createHash('sha256').update(stored).digest('hex'), sha256)
      assert.ok(parts >= 4, 'three parts, and one of them twice')
      assert.equal(await unfinishedUploads(), 0)
      await impatient.delete(key)
    })

    it('leaves no part of an upload that ran out of its time', async () => {
      proxy.hangs = (request) => (isPart(request) ? 'all' : undefined)
      await assert.rejects(
        impatient.putFile(newKey(), path, { signal: AbortSignal.timeout(2_500) }),
        { name: 'TimeoutError' },
      )
      assert.equal(await unfinishedUploads(), 0)
    })

    it('ends the reading of an object whose bytes stop coming', async () => {
      proxy.hangs = () => undefined
      const key = newKey()
      await impatient.putFile(key, path)
      proxy.hangs = () => 'body'
      const body = await impatient.get(key)
      await assert.rejects(body.toArray())
      proxy.hangs = () => undefined
      await impatient.delete(key)
    })
  })

  it('says that the clock is off', async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: clock.now() - 20 * 60_000 })
    const late = await openS3(server.endpoint)
    await assert.rejects(late.check(), hasCode('STORAGE_CLOCK_SKEW'))
    await late.close()
  })

  it('gives up in time on a store that does not answer', async () => {
    const dead = await openS3('http://127.0.0.1:9', { requestTimeoutMs: 500 })
    await assert.rejects(dead.check(), hasCode('STORAGE_UNAVAILABLE'))
    await dead.close()
  })
})
