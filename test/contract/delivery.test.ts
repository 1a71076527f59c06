import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { BuiltinStore, Delivery, putToUrl } from '#src/storage/index.js'
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

for (const [answers, code] of [
  [[200], undefined],
  [[201], undefined],
  [[503, 500, 204], undefined],
  [[500, 500, 500], 'STORAGE_UPLOAD_FAILED'],
  [[403], 'STORAGE_UPLOAD_FAILED'],
  [[301], 'STORAGE_UPLOAD_FAILED'],
] as const) {
  test(`an upload URL that answers ${answers} is asked ${answers.length} times`, async (t) => {
    const path = join(await tempFolder(t), 'result.mp4')
    await writeFile(path, 'bytes')
    const bodies: string[] = []
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        response.statusCode = answers[bodies.length] ?? 200
        response.setHeader('location', 'http://elsewhere.example/')
        bodies.push(`${request.method} ${body}`)
        response.end()
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x?signature=y`
    const fetcher = new GuardedFetcher({ allowPrivate: true })
    const modules = { fetcher, clock: new HastyClock(), rng: new SystemRng() }
    const upload = putToUrl(url, path, modules)
    if (code === undefined) await upload
    else await assert.rejects(upload, { code })
    assert.deepEqual(
      bodies,
      answers.map(() => 'PUT bytes'),
    )
  })
}

test('the built-in store serves one address only so much at once, and says when to come back', async (t) => {
  const [clock, rng] = [new SystemClock(), new SystemRng()]
  const dir = await tempFolder(t)
  const store = await BuiltinStore.open({ dir }, { clock, rng, log: silentLog() })
  await store.listen('127.0.0.1', 0)
  t.after(() => store.close())
  const path = join(dir, 'result.mp4')
  await writeFile(path, Buffer.alloc(200_000))
  await store.putFile('upscaling/x.mp4', path)
  const url = await store.presignGet('upscaling/x.mp4', 60)
  const replies = await Promise.all(
    Array.from({ length: 300 }, async () => {
      const reply = await fetch(url)
      await reply.arrayBuffer()
      return reply
    }),
  )
  const refused = replies.filter(({ status }) => status === 429)
  assert.ok(refused.length > 0 && refused.length < replies.length, `${refused.length} of 300`)
  for (const { headers } of refused) assert.ok(Number(headers.get('retry-after')) >= 1)
  for (const { status } of replies) assert.ok(status === 200 || status === 429, `${status}`)
})
