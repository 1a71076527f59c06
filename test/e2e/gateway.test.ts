import assert from 'node:assert/strict'
import { setMaxListeners } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { Redis } from 'ioredis'
import { Clients } from '#src/gateway/clients.js'
import { createGateway, UPLOAD_EXPIRY_S, UPLOAD_FOLDER } from '#src/gateway/gateway.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { Secret } from '#src/lib/secret.js'
import { connectProducer, OrganicJobs, whenReady } from '#src/queue/index.js'
import { BuiltinStore, Delivery, RedisSchedule, Retention } from '#src/storage/index.js'
import { GatewayFeed } from '#src/validator/duties/gateway-feed.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { TaskStore } from '#src/validator/state/tasks.js'
import { FakeClock } from '../support/fake-clock.js'
import { TestRedis } from '../support/redis.js'

const ALICE = 'alice-key-0123456789'
const BOB = 'bob-key-0123456789xx'
const log = silentLog()
const rng = new SystemRng()

let server: TestRedis
let redis: Redis
let app: FastifyInstance
let store: BuiltinStore
let jobs: OrganicJobs
let dir: string
let clock: FakeClock
let db: StateDatabase
let tasks: TaskStore
let feed: GatewayFeed
let schedule: RedisSchedule

before(async () => {
  server = await TestRedis.start()
  redis = connectProducer(server.url, log)
  await whenReady(redis, 10_000)
  dir = await mkdtemp(join(tmpdir(), 'subreel-gateway-'))
  store = await BuiltinStore.open({ dir }, { clock: new SystemClock(), rng, log })
})

after(async () => {
  jobs.close()
  await app.close()
  await db.destroy()
  redis.disconnect()
  await store.close()
  await server.close()
  await rm(dir, { recursive: true })
})

beforeEach(async () => {
  jobs?.close()
  await app?.close()
  await db?.destroy()
  await redis.flushall()
  clock = new FakeClock()
  jobs = new OrganicJobs({ redis, clock, rng })
  const keys = [`alice:${ALICE}`, `bob:${BOB}`].map((pair) => new Secret(pair))
  const clients = new Clients(keys, { dailyQuota: 3, ratePerMinute: 20 }, { redis, clock })
  schedule = new RedisSchedule(redis, 'gateway')
  const uploads = new Delivery(
    { expirySeconds: UPLOAD_EXPIRY_S, checkReachable: false },
    { store, schedule, clock: new SystemClock(), rng, fetcher: new GuardedFetcher() },
  )
  app = await createGateway(
    { rules: { http: true, privateAddresses: false }, maxUploadBytes: 100_000, tempDir: dir },
    { jobs, clients, uploads, store, log },
  )
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  store.announce(`http://127.0.0.1:${port}`)
  db = await openState(':memory:')
  tasks = new TaskStore(db, clock)
  feed = new GatewayFeed(jobs, tasks)
})

const body = { kind: 'compression', url: 'https://example.com/in.mp4', codec: 'hevc' }

async function post(
  payload: unknown,
  headers: Record<string, string> = { 'x-api-key': ALICE },
  url = '/v1/jobs',
) {
  const response = await app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload: JSON.stringify(payload),
  })
  return { status: response.statusCode, json: response.json(), headers: response.headers }
}
const get = async (url: string, key = ALICE) => {
  const response = await app.inject({ method: 'GET', url, headers: { 'x-api-key': key } })
  return { status: response.statusCode, json: response.json() }
}

describe('the gateway', () => {
  it('takes a job, hands it to the validator and gives its result to the client who sent it', async () => {
    const { status, json } = await post(body)
    assert.equal(status, 202)
    await feed.run()
    const task = await tasks.get(json.id)
    assert.equal(task?.kind, 'compression')
    assert.deepEqual(task.params, {
      url: body.url,
      vmafThreshold: 89,
      codec: 'hevc',
      mode: 'CRF',
      targetBitrateMbps: 10,
    })
    assert.equal((await get(`/v1/jobs/${json.id}/result`)).status, 409)
    await tasks.move(json.id, 'pending', 'assigned')
    assert.equal((await get(`/v1/jobs/${json.id}`)).json.state, 'processing')
    await tasks.move(json.id, 'assigned', 'processing')
    await tasks.move(json.id, 'processing', 'completed', {
      resultUrl: 'https://miner.example/out.mp4',
    })
    assert.deepEqual((await get(`/v1/jobs/${json.id}/result`)).json, {
      id: json.id,
      url: 'https://miner.example/out.mp4',
    })
    assert.equal((await get(`/v1/jobs/${json.id}`, BOB)).status, 404)
  })

  it('takes a video to be generated, and no URL among its values that miners may not fetch', async () => {
    const values = { video_prompt: 'a fox', seed: 7 }
    const { status, json } = await post({ kind: 'generation', values })
    assert.equal(status, 202)
    await feed.run()
    const task = await tasks.get(json.id)
    assert.deepEqual(
      [task?.kind, task?.params],
      ['generation', { workflow: 'wan21-t2v-480p', values }],
    )
    for (const image_url of ['http://127.0.0.1/x.png', 'file:///etc/passwd'])
      assert.equal(
        (await post({ kind: 'generation', values: { image_url } })).status,
        400,
        image_url,
      )
    assert.equal((await post({ kind: 'generation' })).status, 400)
  })

  it('starts an urgent job before normal ones that wait, there and at the validator', async () => {
    const submit = async (priority?: string) => (await post({ ...body, priority })).json.id
    const [normal, low, urgent] = [await submit(), await submit('low'), await submit('urgent')]
    assert.equal((await get(`/v1/jobs/${urgent}`)).json.priority, 'urgent')
    await feed.run()
    const waiting = await tasks.pending(10)
    assert.deepEqual(
      waiting.map(({ taskId }) => taskId),
      [urgent, normal, low],
    )
    const wrong = await post({ ...body, priority: 'now' })
    assert.equal(wrong.status, 400)
    assert.match(wrong.json.error.message, /priority/)
  })

  it('streams every change as an event and ends with the job', async () => {
    const { json } = await post(body)
    await feed.run()
    const seen: string[] = []
    for await (const job of jobs.watch(json.id, new AbortController().signal)) {
      seen.push(job.state)
      if (job.state === 'queued') await tasks.move(json.id, 'pending', 'assigned')
      else if (job.state === 'processing')
        await tasks.move(json.id, 'assigned', 'failed', { errorCode: 'X' })
    }
    assert.deepEqual(seen, ['queued', 'processing', 'failed'])
  })

  it('answers the same Idempotency-Key of the same client with the same job', async () => {
    const headers = { 'x-api-key': ALICE, 'idempotency-key': 'once' }
    const [first, second] = [await post(body, headers), await post(body, headers)]
    assert.equal(second.status, 200)
    assert.equal(first.json.id, second.json.id)
    const other = await post(body, { ...headers, 'x-api-key': BOB })
    assert.notEqual(other.json.id, first.json.id)
    for (let again = 0; again < 3; again += 1)
      assert.equal((await post(body, headers)).status, 200, 'a repetition costs no quota')
    assert.equal((await post(body)).status, 202)
  })

  it('stores an uploaded video and refuses one that is too large', async () => {
    const upload = (bytes: number) =>
      fetch(`${app.listeningOrigin}/v1/jobs?kind=upscaling&taskType=SD2HD`, {
        method: 'POST',
        headers: { 'x-api-key': ALICE, 'content-type': 'video/mp4' },
        body: Buffer.alloc(bytes, 7),
      })
    const taken = await upload(50_000)
    assert.equal(taken.status, 202)
    const { id } = (await taken.json()) as { id: string }
    const job = await jobs.get(id)
    const fetched = await fetch(String(job?.params['url']))
    assert.equal((await fetched.arrayBuffer()).byteLength, 50_000)
    assert.equal((await upload(200_000)).status, 413)
  })

  it('deletes an upload when its time is over', async () => {
    const response = await app.inject({
      method: 'POST',
      url: '/v1/jobs?kind=upscaling',
      headers: { 'x-api-key': ALICE, 'content-type': 'video/mp4' },
      payload: Buffer.alloc(1_000, 7),
    })
    const job = await jobs.get(response.json().id)
    const url = String(job?.params['url'])
    const sweepAt = async (offsetMs: number) => {
      const late = new FakeClock(Date.now() + offsetMs)
      const options = { folders: [UPLOAD_FOLDER], maxAgeMs: UPLOAD_EXPIRY_S * 2_000 }
      return new Retention(options, { store, schedule, clock: late, log }).sweepDue()
    }
    assert.equal((await sweepAt(UPLOAD_EXPIRY_S * 1_000 - 60_000)).deleted, 0)
    assert.equal((await fetch(url)).status, 200)
    assert.equal((await sweepAt(UPLOAD_EXPIRY_S * 1_000 + 60_000)).deleted, 1)
    assert.equal((await fetch(url)).status, 404)
  })

  it('tells a thousand watchers over one connection to Redis', async () => {
    const { json } = await post(body)
    await feed.run()
    const connections = async () =>
      Number(/connected_clients:(\d+)/.exec(await redis.info('clients'))?.[1])
    const before = await connections()
    const end = new AbortController()
    setMaxListeners(0, end.signal)
    const firsts: Promise<unknown>[] = []
    const lasts: Promise<string>[] = []
    for (let i = 0; i < 1_000; i += 1) {
      const states = jobs.watch(json.id, end.signal)
      const first = states.next()
      firsts.push(first)
      lasts.push(
        first.then(async () => {
          let last = ''
          for await (const job of states) last = job.state
          return last
        }),
      )
    }
    await Promise.all(firsts)
    assert.equal(await connections(), before + 1)
    await tasks.move(json.id, 'pending', 'assigned')
    await tasks.move(json.id, 'assigned', 'failed', { errorCode: 'X' })
    assert.deepEqual(new Set(await Promise.all(lasts)), new Set(['failed']))
  })

  it('limits the streams of one client', async () => {
    const { json } = await post(body)
    const { port } = app.server.address() as AddressInfo
    const end = new AbortController()
    const open = (key: string) =>
      fetch(`http://127.0.0.1:${port}/v1/jobs/${json.id}/events`, {
        headers: { 'x-api-key': key },
        signal: end.signal,
      })
    // Kept: a response that nobody holds is collected, and its stream ends.
    const responses: Response[] = []
    for (let i = 0; i < 65; i += 1) {
      if (i % 15 === 0) for (const key of await redis.keys('*rate:*')) await redis.del(key)
      responses.push(await open(ALICE))
    }
    assert.deepEqual(
      responses.map(({ status }) => status),
      responses.map((_, i) => (i < 64 ? 200 : 429)),
    )
    end.abort()
  })

  it('refuses strangers, bad bodies, private sources and what exceeds rate and quota, each with its code', async () => {
    const codeOf = async (payload: unknown, headers?: Record<string, string>) => {
      const { status, json } = await post(payload, headers)
      return `${status} ${json.error?.code ?? 'ok'}`
    }
    assert.equal(await codeOf(body, {}), '401 GATEWAY_KEY_MISSING')
    assert.equal(
      await codeOf(body, { 'x-api-key': 'wrong-key-0123456789' }),
      '401 GATEWAY_KEY_UNKNOWN',
    )
    assert.equal(await codeOf({ ...body, codec: 'mpeg1' }), '400 GATEWAY_BAD_REQUEST')
    assert.equal(await codeOf({ ...body, kind: 'nothing' }), '400 GATEWAY_BAD_REQUEST')
    await redis.flushall()
    for (const url of [
      'http://127.0.0.1/x',
      'http://169.254.169.254/',
      'file:///etc/passwd',
      'https://u:p@example.com/',
    ]) {
      assert.equal(
        await codeOf({ ...body, url }, { 'x-api-key': BOB }),
        '400 GATEWAY_BAD_REQUEST',
        url,
      )
      await redis.flushall()
    }
    for (let i = 0; i < 3; i += 1) assert.equal((await post(body)).status, 202)
    assert.equal(await codeOf(body), '429 GATEWAY_QUOTA_USED')
    for (let i = 0; i < 16; i += 1) await get('/v1/jobs/none')
    const limited = await post(body)
    assert.equal(limited.json.error.code, 'GATEWAY_RATE_LIMITED')
    assert.ok(Number(limited.headers['retry-after']) >= 1)
  })

  it('takes again what a validator took and never stored', async () => {
    const { json } = await post(body)
    await jobs.take()
    assert.equal(await jobs.take(), undefined)
    assert.equal(await jobs.recover(), 1)
    assert.equal((await jobs.take())?.id, json.id)
  })

  it('speaks the shapes of the reference gateway', async () => {
    const { status, json } = await post(
      { chunk_id: 'c', chunk_url: 'https://example.com/a.mp4', resolution_type: 'SD2HD' },
      undefined,
      '/upscale',
    )
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(json).sort(), ['message', 'status', 'task_id'])
    assert.equal((await get(`/status/${json.task_id}`)).json.status, 'queued')
    assert.equal(
      (await get(`/result/${json.task_id}`)).json.original_video_url,
      'https://example.com/a.mp4',
    )
    assert.deepEqual((await get('/task_count')).json, { total_count: 1 })
    const compress = {
      chunk_id: 'd',
      chunk_url: 'https://example.com/a.mp4',
      compression_type: 'High',
    }
    const first = await post(compress, undefined, '/compress')
    assert.equal(first.status, 200)
    const again = await post(compress, undefined, '/compress')
    assert.equal(again.json.task_id, first.json.task_id)
    const harder = { ...compress, compression_type: 'Low' }
    assert.notEqual((await post(harder, undefined, '/compress')).json.task_id, first.json.task_id)
  })

  it('documents itself', async () => {
    const spec = (await app.inject('/docs/json')).json()
    const { requestBody } = spec.paths['/v1/jobs'].post
    for (const kind of requestBody.content['application/json'].schema.oneOf)
      assert.deepEqual(kind.properties.priority, {
        default: 'normal',
        type: 'string',
        enum: ['urgent', 'high', 'normal', 'low'],
      })
    assert.equal((await app.inject('/docs/')).statusCode, 200)
  })
})
