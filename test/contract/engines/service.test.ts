import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import {
  createMetrics,
  type Engine,
  EngineError,
  type UpscaleParams,
  type UpscaleResult,
  upscaleOwn,
  upscaleReference,
  VideoService,
} from '#src/engines/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { Registry } from '#src/lib/metrics.js'
import { withResolvers } from '#src/lib/resources.js'
import { SystemRng } from '#src/lib/rng.js'
import { Workspace } from '#src/lib/workspace.js'
import { tempFolder } from '../../support/clips.js'

/** Copies its input when it is told to; remembers what it was asked. */
class GatedEngine implements Engine<UpscaleParams, UpscaleResult> {
  readonly name = 'gated'
  readonly asked: UpscaleParams[] = []
  readonly aborted = withResolvers<void>()
  started = withResolvers<void>()
  gate: Promise<void> = Promise.resolve()

  broken: EngineError | undefined
  trials = 0

  async ready(): Promise<void> {
    this.trials += 1
    if (this.broken !== undefined) throw this.broken
  }

  async run(
    { path, params }: { path: string; params: UpscaleParams },
    { workDir, signal }: { workDir: string; signal: AbortSignal },
  ): Promise<UpscaleResult> {
    this.asked.push(params)
    this.started.resolve()
    signal.addEventListener('abort', () => this.aborted.resolve(), { once: true })
    await Promise.race([this.gate, this.aborted.promise])
    signal.throwIfAborted()
    if (this.broken !== undefined) throw this.broken
    if (params.scale === 4) {
      throw new EngineError({ code: 'ENGINE_INPUT_UNSUPPORTED', what: 'test' }, 'not this one')
    }
    const out = join(workDir, 'out.mp4')
    await copyFile(path, out)
    return { path: out, engine: this.name, width: 4, height: 2, frames: 1, sizeBytes: 5 }
  }

  async close(): Promise<void> {}
}

/** Files of jobs: whatever lies below this process's own folder. */
async function workFiles(root: string): Promise<string[]> {
  return (await readdir(root, { recursive: true })).filter((name) => name.includes('/'))
}

async function open(t: TestContext) {
  const files = createServer((request, response) => {
    response.statusCode = request.url === '/clip.mp4' ? 200 : 404
    response.end('bytes')
  })
  files.listen(0, '127.0.0.1')
  await once(files, 'listening')
  const { port } = files.address() as { port: number }
  const engine = new GatedEngine()
  const tempDir = await tempFolder(t)
  const clock = new SystemClock()
  const options = { root: tempDir, minFreeBytes: 0 }
  const workspace = new Workspace(options, { clock, rng: new SystemRng(), log: silentLog() })
  await workspace.open()
  const registry = new Registry()
  const stop = new AbortController()
  const service = new VideoService(
    {
      name: 'upscaler',
      referenceRoute: '/upscale-video',
      referenceBody: upscaleReference,
      ownRoute: '/v1/upscale',
      ownBody: upscaleOwn,
      maxInputBytes: 1000,
      jobTimeoutMs: 60_000,
    },
    {
      engine,
      workspace,
      fetcher: new GuardedFetcher({ allowPrivate: true }),
      deliver: async () => 'https://store.example/result.mp4',
      clock,
      log: silentLog(),
      metrics: createMetrics(registry),
      stopping: stop.signal,
    },
  )
  t.after(async () => {
    stop.abort()
    await service.close()
    files.close()
  })
  const post = (url: string, payload: object) =>
    service.app.inject({ method: 'POST', url, payload })
  return { service, engine, tempDir, registry, post, url: `http://127.0.0.1:${port}/clip.mp4` }
}

test('the reference shape gets a URL; the scale follows from the task type', async (t) => {
  const { post, engine, url, tempDir } = await open(t)
  const reply = await post('/upscale-video', { payload_url: url, task_type: 'HD24K' })
  assert.equal(reply.statusCode, 200)
  assert.deepEqual(reply.json(), { uploaded_video_url: 'https://store.example/result.mp4' })
  assert.deepEqual(engine.asked, [{ scale: 2 }])
  assert.deepEqual(await workFiles(tempDir), [], 'no working file is left')
})

test('the reference shape gets null when the job fails, and the metric says why', async (t) => {
  const { post, url, registry, tempDir } = await open(t)
  const failed = await post('/upscale-video', { payload_url: url, task_type: 'SD24K' })
  assert.deepEqual([failed.statusCode, failed.json()], [200, { uploaded_video_url: null }])
  const missing = await post('/upscale-video', { payload_url: `${url}x`, task_type: 'SD2HD' })
  assert.deepEqual([missing.statusCode, missing.json()], [200, { uploaded_video_url: null }])
  const metrics = await registry.metrics()
  assert.match(metrics, /jobs_total\{service="upscaler",outcome="ENGINE_INPUT_UNSUPPORTED"\} 1/)
  assert.match(metrics, /jobs_total\{service="upscaler",outcome="FETCH_STATUS"\} 1/)
  assert.deepEqual(await workFiles(tempDir), [])
})

test('our shape gets facts, or a status with a code', async (t) => {
  const { post, url } = await open(t)
  const done = await post('/v1/upscale', { url, scale: 2, codec: 'h264' })
  assert.equal(done.statusCode, 200)
  assert.equal(done.json().frames, 1)
  assert.equal(done.json().path, undefined, 'paths of this machine are nobody’s business')
  const failed = await post('/v1/upscale', { url, scale: 4 })
  assert.deepEqual([failed.statusCode, failed.json().error.code], [500, 'ENGINE_INPUT_UNSUPPORTED'])
  const unreachable = await post('/v1/upscale', { url: `${url}x`, scale: 2 })
  assert.deepEqual([unreachable.statusCode, unreachable.json().error.code], [422, 'FETCH_STATUS'])
})

test('a body of the wrong shape is refused before anything is fetched', async (t) => {
  const { post, engine } = await open(t)
  for (const body of [{}, { payload_url: 'x', task_type: 'HD' }, { payload_url: 1 }]) {
    const reply = await post('/upscale-video', body)
    assert.equal(reply.statusCode, 400, JSON.stringify(body))
  }
  assert.equal(engine.asked.length, 0)
})

test('two jobs run, five wait, the eighth is told when to come back', async (t) => {
  const { post, engine, url, service } = await open(t)
  const gate = withResolvers<void>()
  engine.gate = gate.promise
  const body = { payload_url: url, task_type: 'HD24K' }
  const accepted = Array.from({ length: 7 }, () => post('/upscale-video', body))
  await engine.started.promise
  const eighth = await post('/upscale-video', body)
  assert.equal(eighth.statusCode, 429)
  assert.ok(Number(eighth.headers['retry-after']) >= 1)
  const queue = (await service.app.inject('/queue')).json()
  assert.deepEqual([queue.active, queue.waiting], [2, 5])
  gate.resolve()
  const replies = await Promise.all(accepted)
  assert.ok(replies.every((reply) => reply.json().uploaded_video_url !== null))
  assert.equal((await post('/upscale-video', body)).statusCode, 200)
})

test('a caller that hangs up ends its job and leaves no file', async (t) => {
  const { service, engine, url, tempDir } = await open(t)
  engine.gate = new Promise(() => {})
  const port = await service.listen('127.0.0.1', 0)
  const hangUp = new AbortController()
  const call = fetch(`http://127.0.0.1:${port}/upscale-video`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ payload_url: url, task_type: 'HD24K' }),
    signal: hangUp.signal,
  })
  await engine.started.promise
  hangUp.abort()
  await assert.rejects(call)
  await engine.aborted.promise
  await service.drained()
  assert.deepEqual(await workFiles(tempDir), [])
})

test('says that it is healthy and what works', async (t) => {
  const { service } = await open(t)
  const health = await service.app.inject('/health')
  assert.deepEqual(health.json(), { status: 'healthy', service: 'upscaler', engine: 'gated' })
})

test('is unhealthy, with the reason, while its engine cannot work', async (t) => {
  const { service, engine, post, url } = await open(t)
  const lost = { code: 'ENGINE_UNAVAILABLE', engine: 'gated' } as const
  engine.broken = new EngineError(lost, 'the GPU fell off the bus')
  const failed = await post('/upscale-video', { payload_url: url, task_type: 'HD24K' })
  assert.deepEqual(failed.json(), { uploaded_video_url: null })
  const sick = await service.app.inject('/health')
  assert.equal(sick.statusCode, 503)
  assert.match(sick.json().reason, /fell off the bus/)
  engine.broken = undefined
  const cured = await post('/upscale-video', { payload_url: url, task_type: 'HD24K' })
  assert.match(cured.json().uploaded_video_url, /^https/)
  assert.equal((await service.app.inject('/health')).statusCode, 200)
})

test('asks its engine after a failure that may be its own, and stays healthy when it passes', async (t) => {
  const { service, engine, post, url } = await open(t)
  const odd = { code: 'ENGINE_OUTPUT_INVALID', what: 'frames', expected: '2', actual: '1' } as const
  engine.broken = new EngineError(odd, 'a frame is missing')
  await post('/upscale-video', { payload_url: url, task_type: 'HD24K' })
  assert.equal(engine.trials, 0, 'nobody asked yet')
  engine.broken = undefined
  assert.equal((await service.app.inject('/health')).statusCode, 200)
  assert.equal((await service.app.inject('/health')).statusCode, 200)
  assert.equal(engine.trials, 1)
})
