import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Redis } from 'ioredis'
import type { Target } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { must } from '#src/lib/errors.js'
import { SeededRng } from '#src/lib/rng.js'
import {
  MinerCapacity,
  TaskCancellation,
  TaskStatusCheck,
  VideoUpscaling,
  VideoUpscalingJob,
  VideoUpscalingPoll,
} from '#src/protocol/index.js'
import { makeClip } from '../support/clips.js'
import { ClipServer, caller, MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { processesWith } from '../support/processes.js'
import { TestRedis } from '../support/redis.js'

const clock = new SystemClock()

describe('a miner of two processes under faults', () => {
  let redis: TestRedis
  let axon: MinerProcess
  let worker: MinerProcess
  let clips: ClipServer
  let target: Target
  let dir = ''
  let remove = async () => {}
  const bob = caller('//Bob')
  const flags = ['--queue.max_waiting', '50', '--deleter.every_seconds', '1']

  const setup = (role: string, more: readonly string[] = []) => ({
    redisUrl: redis.url,
    dir,
    port: target.port,
    flags: ['--role', role, ...flags, ...more],
  })
  const startWorker = () => MinerProcess.start(setup('worker'))
  const startAxon = () => MinerProcess.start(setup('axon'))

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    await makeClip(join(dir, 'short.mp4'), { frames: 50, size: '320x180' })
    await makeClip(join(dir, 'long.mp4'), { frames: 1_500, size: '640x360' })
    redis = await TestRedis.start()
    clips = await ClipServer.start(dir)
    target = await minerTarget()
    worker = await startWorker()
    axon = await startAxon()
  })
  after(async () => {
    await bob.close()
    await axon.end()
    await worker.end()
    await clips.close()
    await redis.close()
    await remove()
  })

  async function submit(clip: string): Promise<string> {
    const job_id = randomUUID()
    const answer = await bob.call(target, VideoUpscalingJob, {
      job_id,
      miner_payload: { reference_video_url: clips.url(`/${clip}`), task_type: 'SD2HD' },
    })
    assert.ok(answer.ok, `${answer.statusMessage}`)
    return job_id
  }

  async function statusOf(job_id: string): Promise<string> {
    const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
    return answer.ok ? answer.response.poll_response.status : `${answer.statusCode}`
  }

  async function progressOf(task_id: string): Promise<number> {
    const answer = await bob.call(target, TaskStatusCheck, { task_id })
    return answer.ok ? answer.response.progress : 0
  }

  /** Polls as a validator does, until the status is none of `pending`. */
  async function ended(job_id: string, pending = ['processing', '503']): Promise<string> {
    for (;;) {
      const status = await statusOf(job_id)
      if (!pending.includes(status)) return status
      await clock.sleep(100)
    }
  }

  /** How often the queue itself says that a job completed. */
  async function completions(): Promise<Map<string, number>> {
    const client = new Redis(redis.url)
    const events = await client.xrange('{subreel}:lane-upscale:events', '-', '+')
    client.disconnect()
    const counts = new Map<string, number>()
    for (const [, fields] of events) {
      const of = (name: string) => fields[fields.indexOf(name) + 1]
      if (of('event') !== 'completed') continue
      const id = must(of('jobId'), 'job id')
      counts.set(id, (counts.get(id) ?? 0) + 1)
    }
    return counts
  }

  async function workFiles(): Promise<string[]> {
    const root = join(dir, 'temp', 'subreel-work')
    return (await readdir(root, { recursive: true })).filter((name) => name.includes('/'))
  }

  async function noOrphans(): Promise<void> {
    for (let n = 0; n < 40 && (await processesWith(join(dir, 'temp'))).length > 1; n += 1) {
      await clock.sleep(50)
    }
    const left = await processesWith(join(dir, 'temp', 'subreel-work'))
    assert.deepEqual(left, [], 'no tool outlives its worker')
  }

  it('finishes every job once although its worker is killed in the middle', async () => {
    const rng = new SeededRng('kill -9')
    const jobs: string[] = []
    for (let n = 0; n < 6; n += 1) jobs.push(await submit('short.mp4'))
    for (let n = 0; n < 3; n += 1) {
      await clock.sleep(200 + rng.int(1_000))
      await worker.end('SIGKILL')
      await noOrphans()
      worker = await startWorker()
    }
    for (const job of jobs) assert.equal(await ended(job), 'completed')
    const counts = await completions()
    assert.equal(counts.size, jobs.length)
    for (const [id, count] of counts) assert.equal(count, 1, id)
    assert.deepEqual(await workFiles(), [])
  })

  it('keeps what it acknowledged when the axon is killed, and serves again at once', async () => {
    const job = await submit('short.mp4')
    const open = Array.from({ length: 10 }, (_, n) =>
      bob.call(
        target,
        VideoUpscaling,
        { miner_payload: { reference_video_url: clips.url('/short.mp4', `?open${n}`) } },
        { timeoutMs: 30_000 },
      ),
    )
    while ((await capacity()) < 5) await clock.sleep(20)
    const startMs = clock.monotonic()
    await axon.end('SIGKILL')
    const outcomes = await Promise.all(open)
    assert.ok(outcomes.some((outcome) => !outcome.ok))
    assert.ok(clock.monotonic() - startMs < 2_000, 'callers learn of it at once')
    axon = await startAxon()
    assert.equal(await ended(job), 'completed')
  })

  async function capacity(): Promise<number> {
    const answer = await bob.call(target, MinerCapacity, {})
    return answer.ok ? answer.response.queue_size : 0
  }

  it('answers 503 while Redis is away and finishes what it had accepted', async () => {
    const job = await submit('short.mp4')
    await redis.kill()
    const startMs = clock.monotonic()
    const refused = await bob.call(target, VideoUpscalingJob, {
      job_id: randomUUID(),
      miner_payload: { reference_video_url: clips.url('/short.mp4') },
    })
    assert.equal(refused.ok, false)
    assert.equal(refused.statusCode, 503)
    assert.ok(clock.monotonic() - startMs < 3_000)
    const ready = await fetch(`http://127.0.0.1:${await adminPort()}/readyz`)
    assert.equal(ready.status, 503)
    await redis.up()
    assert.equal(await ended(job), 'completed')
  })

  async function adminPort(): Promise<unknown> {
    return (await axon.event('process.started'))['adminPort']
  }

  it('kills the tools of a task that is cancelled, and removes its files', async () => {
    const task_id = await submit('long.mp4')
    while ((await progressOf(task_id)) < 12) await clock.sleep(50)
    assert.ok((await processesWith(join(dir, 'temp', 'subreel-work'))).length > 0)
    const answer = await bob.call(target, TaskCancellation, { task_id })
    assert.ok(answer.ok && answer.response.success)
    await noOrphans()
    while ((await workFiles()).length > 0) await clock.sleep(20)
    assert.equal(await statusOf(task_id), 'failed')
  })

  it('hands its work back when told to stop, and another worker does it', async () => {
    const job = await submit('short.mp4')
    while ((await progressOf(job)) < 10) await clock.sleep(20)
    assert.equal(await worker.end('SIGTERM'), 0)
    await noOrphans()
    assert.deepEqual(await readdir(join(dir, 'temp', 'subreel-work')), [])
    worker = await startWorker()
    assert.equal(await ended(job), 'completed')
  })

  it('says that it takes nothing while the disk is full', async () => {
    await worker.end('SIGTERM')
    worker = await MinerProcess.start(setup('worker', ['--miner.min_free_mb', '10000000']))
    const takesWork = async () => {
      const answer = await bob.call(target, MinerCapacity, {})
      assert.ok(answer.ok)
      return answer.response.available
    }
    // The axon hears of it with the worker's next report on each lane.
    while (await takesWork()) await clock.sleep(50)
    const refused = await bob.call(target, VideoUpscalingJob, {
      job_id: randomUUID(),
      miner_payload: { reference_video_url: clips.url('/short.mp4') },
    })
    assert.equal(refused.ok, false)
    assert.equal(refused.statusCode, 503)
  })

  it('answers with an empty URL when its service is down or has no result', async () => {
    await worker.end('SIGTERM')
    const asked: unknown[] = []
    const service = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk) => {
        text += String(chunk)
      })
      request.on('end', () => {
        if (text !== '') asked.push(JSON.parse(text))
        response.setHeader('content-type', 'application/json')
        response.end(request.url === '/health' ? '{}' : '{"uploaded_video_url": null}')
      })
    })
    const url = await listening(service)
    worker = await MinerProcess.start(setup('worker', ['--miner.upscaler_url', url]))
    const ask = (n: number) =>
      bob.call(
        target,
        VideoUpscaling,
        { miner_payload: { reference_video_url: clips.url('/short.mp4', `?s${n}`) } },
        { timeoutMs: 20_000 },
      )
    const without = await ask(1)
    assert.ok(without.ok)
    assert.equal(without.response.miner_response.optimized_video_url, '')
    assert.deepEqual(asked, [
      {
        payload_url: clips.url('/short.mp4', '?s1'),
        task_type: 'HD24K',
        maximum_optimized_size_mb: 100,
      },
    ])
    service.closeAllConnections()
    await new Promise<void>((resolve) => service.close(() => resolve()))
    const down = await ask(2)
    assert.ok(down.ok)
    assert.equal(down.response.miner_response.optimized_video_url, '')
    await worker.failure('MINER_SERVICE_FAILED')
    await worker.failure('MINER_ENGINE_DOWN')
  })

  it('answers with an empty URL when the upload fails, and says why', async () => {
    await worker.end('SIGTERM')
    const bucket = createServer((request, response) => {
      request.resume()
      response.statusCode = request.method === 'PUT' || request.method === 'POST' ? 403 : 200
      response.setHeader('content-type', 'application/xml')
      response.end(response.statusCode === 403 ? '<Error><Code>AccessDenied</Code></Error>' : '')
    })
    const settings = {
      'bucket.type': 'minio',
      'bucket.name': 'vidaio-test',
      'bucket.endpoint': await listening(bucket),
      'bucket.access_key': 'key',
      'bucket.secret_key': 'secret',
    }
    const more = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
    worker = await MinerProcess.start(setup('worker', more))
    const answer = await bob.call(
      target,
      VideoUpscaling,
      { miner_payload: { reference_video_url: clips.url('/short.mp4', '?upload') } },
      { timeoutMs: 30_000 },
    )
    assert.ok(answer.ok)
    assert.equal(answer.response.miner_response.optimized_video_url, '')
    const failed = await worker.event('video.failed')
    assert.match(String(failed['code']), /^STORAGE_/)
    assert.deepEqual(await workFiles(), [])
    await noOrphans()
    bucket.closeAllConnections()
    bucket.close()
  })
})

/** Starts a server on a free port; returns its origin. */
async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address !== 'string')
  return `http://127.0.0.1:${address.port}`
}
