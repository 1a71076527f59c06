// Kills and losses of the parts around a worker and an axon, which miner-faults.test.ts covers.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import type { Target } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { VideoCompression, VideoUpscalingJob, VideoUpscalingPoll } from '#src/protocol/index.js'
import { makeClip } from '../support/clips.js'
import { FlakyProxy } from '../support/flaky-proxy.js'
import {
  ClipServer,
  caller,
  MinerProcess,
  minerTarget,
  SHIPPED,
  scratch,
} from '../support/miner.js'
import { freePort } from '../support/ports.js'
import { processesWith } from '../support/processes.js'
import { TestRedis } from '../support/redis.js'
import { startMinerNet } from '../support/with-devnet.js'

const clock = new SystemClock()
const KEY = 'a-test-key-0123456789'

describe('a part that is lost', () => {
  let redis: TestRedis
  let clips: ClipServer
  let dir = ''
  let remove = async () => {}
  const bob = caller('//Bob')

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    redis = await TestRedis.start()
    clips = await ClipServer.start(dir)
    await makeClip(join(dir, 'clip.mp4'), { frames: 30, size: '128x96' })
    await makeClip(join(dir, 'tiny.mp4'), { frames: 10, size: '64x48' })
  })
  after(async () => {
    await bob.close()
    await clips.close()
    await redis.close()
    await remove()
  })

  const submit = (target: Target, job_id: string, clip = '/clip.mp4') =>
    bob.call(target, VideoUpscalingJob, {
      job_id,
      miner_payload: { reference_video_url: clips.url(clip), task_type: 'SD2HD' },
    })

  /** Sends it until it is taken: a miner says no until a worker has said that it is there. */
  async function accepted(target: Target, job_id: string, clip?: string): Promise<void> {
    while (!(await submit(target, job_id, clip)).ok) await clock.sleep(200)
  }

  async function statusOf(target: Target, job_id: string): Promise<string> {
    const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
    return answer.ok ? answer.response.poll_response.status : `${answer.statusCode}`
  }

  async function ended(target: Target, job_id: string): Promise<string> {
    for (;;) {
      const status = await statusOf(target, job_id)
      if (!['processing', '503'].includes(status)) return status
      await clock.sleep(100)
    }
  }

  /** A miner whose engine is a service, which `kill` ends in the middle of its work and `restart` brings back. */
  async function minerWithService(
    t: TestContext,
    name: 'upscaler' | 'compressor',
    task: 'upscaling' | 'compression',
  ) {
    const target = await minerTarget()
    const port = await freePort()
    const temp = join(dir, `${name}-temp`)
    const start = () =>
      MinerProcess.run(SHIPPED[name], dir, [
        ...['--redis.url', redis.url, `--${name}.port`, String(port), '--allow-private-urls'],
        ...['--neuron.data_dir', join(dir, name), '--neuron.temp_dir', temp, '--device', 'cpu'],
      ])
    let service = await start()
    const miner = await MinerProcess.start({
      redisUrl: redis.url,
      dir,
      port: target.port,
      flags: [
        ...['--queue.prefix', `{${name}}`, '--miner.tasks', task],
        ...[`--miner.${name}_url`, `http://127.0.0.1:${port}`],
      ],
    })
    t.after(async () => {
      await miner.end()
      await service.end()
    })
    const kill = async () => {
      while ((await processesWith(temp)).length < 2) await clock.sleep(10)
      await service.end('SIGKILL')
    }
    const restart = async () => {
      service = await start()
    }
    return { target, kill, restart }
  }

  it('Redis that is full: work is refused with 503, and taken again when there is room', async (t) => {
    const target = await minerTarget()
    const miner = await MinerProcess.start({ redisUrl: redis.url, dir, port: target.port })
    const client = new Redis(redis.url)
    t.after(async () => {
      client.disconnect()
      await miner.end()
    })
    await client.config('SET', 'maxmemory', '1')
    const refused = await submit(target, randomUUID())
    assert.equal(refused.ok, false)
    assert.equal(refused.statusCode, 503)
    await client.config('SET', 'maxmemory', '0')
    const job = randomUUID()
    await accepted(target, job)
    assert.equal(await ended(target, job), 'completed')
    assert.ok(miner.running)
  })

  it('the end of the append-only file: what came before is kept, what is gone is put there again', async (t) => {
    const target = await minerTarget()
    const broken = await TestRedis.start()
    const miner = await MinerProcess.start({ redisUrl: broken.url, dir, port: target.port })
    t.after(async () => {
      await miner.end()
      await broken.close()
    })
    const done = randomUUID()
    await accepted(target, done)
    assert.equal(await ended(target, done), 'completed')
    const { sizeBytes: before } = await broken.appendOnlyFile()
    const lost = randomUUID()
    await accepted(target, lost)
    await broken.kill()
    const { path } = await broken.appendOnlyFile()
    // In the middle of a command, as a power cut leaves it.
    await truncate(path, before + 3)
    await broken.up()
    while ((await statusOf(target, done)) === '503') await clock.sleep(100)
    assert.equal(await statusOf(target, done), 'completed')
    assert.equal((await miner.event('job.restored'))['kind'], 'upscale')
    assert.equal(await ended(target, lost), 'completed')
    const next = randomUUID()
    await accepted(target, next)
    assert.equal(await ended(target, next), 'completed')
  })

  it('the upscaling service, killed in the middle: its job fails at once, the next is done when it is back', async (t) => {
    const { target, kill, restart } = await minerWithService(t, 'upscaler', 'upscaling')
    const job = randomUUID()
    await accepted(target, job)
    await kill()
    assert.equal(await ended(target, job), 'failed')
    await restart()
    const next = randomUUID()
    await accepted(target, next, '/tiny.mp4')
    assert.equal(await ended(target, next), 'completed')
  })

  it('the compression service, killed in the middle: its task has no URL, the next is done when it is back', async (t) => {
    const { target, kill, restart } = await minerWithService(t, 'compressor', 'compression')
    const compress = async (query: string) => {
      for (;;) {
        const answer = await bob.call(
          target,
          VideoCompression,
          {
            miner_payload: {
              reference_video_url: clips.url('/clip.mp4', query),
              vmaf_threshold: 85,
              target_codec: 'h264',
            },
          },
          { timeoutMs: 60_000 },
        )
        if (answer.ok) return answer.response.miner_response.optimized_video_url
        await clock.sleep(200)
      }
    }
    const killed = compress('?killed')
    await kill()
    assert.equal(await killed, '')
    await restart()
    assert.match(await compress('?next'), /^http/)
  })

  it('the chain: a miner serves on, whether its endpoint refuses or hangs', async (t) => {
    const target = await minerTarget()
    const devnet = await startMinerNet()
    const road = await FlakyProxy.before(devnet.url)
    const miner = await MinerProcess.start({
      program: SHIPPED.miner,
      redisUrl: redis.url,
      dir,
      port: target.port,
      flags: [
        ...['--subtensor.network', road.url, '--wallet.hotkey', '//Alice', '--device', 'cpu'],
        ...['--queue.prefix', '{chain}', '--miner.tasks', 'upscaling'],
      ],
    })
    t.after(async () => {
      await miner.end()
      await road[Symbol.asyncDispose]()
      await devnet.close()
    })
    const before = randomUUID()
    await accepted(target, before, '/tiny.mp4')
    for (const mode of ['refuse', 'blackhole', 'pass'] as const) {
      road.mode = mode
      const job = randomUUID()
      const answer = await submit(target, job, '/tiny.mp4')
      assert.ok(answer.ok, `${mode}: ${answer.statusMessage}`)
      assert.equal(await ended(target, job), 'completed', mode)
    }
    assert.equal(await ended(target, before), 'completed')
    assert.equal(await miner.end('SIGTERM'), 0)
  })

  it('the gateway, killed: a job that it took is still there, under its id and its idempotency key', async (t) => {
    const port = await freePort()
    const start = () =>
      MinerProcess.run(
        SHIPPED.gateway,
        dir,
        [
          ...['--redis.url', redis.url, '--gateway.port', String(port)],
          ...['--neuron.data_dir', join(dir, 'gateway'), '--allow-private-urls'],
        ],
        { GATEWAY_API_KEYS: `test:${KEY}` },
      )
    const post = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
        method: 'POST',
        headers: {
          'x-api-key': KEY,
          'content-type': 'application/json',
          'idempotency-key': 'once',
        },
        body: JSON.stringify({ kind: 'compression', url: clips.url('/clip.mp4'), codec: 'h264' }),
      })
      assert.ok(response.ok, await response.clone().text())
      return ((await response.json()) as { id: string }).id
    }
    let gateway = await start()
    t.after(() => gateway.end())
    const id = await post()
    await gateway.end('SIGKILL')
    gateway = await start()
    assert.equal(await post(), id)
    const job = await fetch(`http://127.0.0.1:${port}/v1/jobs/${id}`, {
      headers: { 'x-api-key': KEY },
    })
    assert.equal(((await job.json()) as { state: string }).state, 'queued')
  })
})
