import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Redis } from 'ioredis'
import type { Target } from '#src/dendrite/index.js'
import type { Devnet } from '#src/devnet/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { TaskWarrant, VideoUpscaling } from '#src/protocol/index.js'
import { BuiltinStore, RedisSchedule, resultKey } from '#src/storage/index.js'
import { makeClip } from '../support/clips.js'
import {
  ClipServer,
  caller,
  MinerProcess,
  minerTarget,
  SHIPPED,
  scratch,
} from '../support/miner.js'
import { TestRedis } from '../support/redis.js'
import { startMinerNet } from '../support/with-devnet.js'

const clock = new SystemClock()

describe('the programs as they ship', () => {
  let redis: TestRedis
  let devnet: Devnet
  let clips: ClipServer
  let target: Target
  let dir = ''
  let remove = async () => {}
  const bob = caller('//Bob')

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    redis = await TestRedis.start()
    clips = await ClipServer.start(dir)
    target = await minerTarget()
    devnet = await startMinerNet()
  })
  after(async () => {
    await bob.close()
    await devnet.close()
    await clips.close()
    await redis.close()
    await remove()
  })

  it('serve a task with the embedded upscaler, known to a chain, and stop when told', async () => {
    await makeClip(join(dir, 'tiny.mp4'), { frames: 10, size: '64x48' })
    const miner = await MinerProcess.start({
      program: SHIPPED.miner,
      redisUrl: redis.url,
      dir,
      port: target.port,
      flags: [
        ...['--subtensor.network', devnet.url, '--wallet.hotkey', '//Alice'],
        ...['--miner.tasks', 'upscaling', '--device', 'cpu'],
      ],
    })
    try {
      const warrant = await bob.call(target, TaskWarrant, {})
      assert.ok(warrant.ok)
      assert.deepEqual(warrant.response.warrant_tasks, [2])
      const answer = await bob.call(
        target,
        VideoUpscaling,
        { miner_payload: { reference_video_url: clips.url('/tiny.mp4') } },
        { timeoutMs: 60_000 },
      )
      assert.ok(answer.ok)
      const result = await fetch(answer.response.miner_response.optimized_video_url)
      assert.equal(result.status, 200)
      assert.ok((await result.arrayBuffer()).byteLength > 1_000)
      const { adminPort } = await miner.event('process.started')
      const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
      assert.match(metrics, /subnet_queue_depth_jobs\{kind="upscale",state="waiting"\} 0/)
      assert.equal(await miner.end('SIGTERM'), 0)
    } finally {
      await miner.end()
    }
  })

  it('delete in time what was scheduled, also when told over HTTP, through a restart', async () => {
    const data = join(dir, 'deleter')
    const client = new Redis(redis.url)
    const store = await BuiltinStore.open(
      { dir: join(data, 'store') },
      { clock, rng: new SystemRng(), log: silentLog() },
    )
    const path = join(dir, 'file.mp4')
    await writeFile(path, 'bytes')
    const schedule = new RedisSchedule(client)
    const put = async (dieAtMs: number) => {
      const hotkey = 'caller'
      const key = resultKey({ folder: 'upscaling', hotkey, extension: 'mp4', rng: new SystemRng() })
      await schedule.schedule(key, dieAtMs)
      await store.putFile(key, path)
      return key
    }
    const keep = await put(clock.now() + 600_000)
    await put(clock.now() + 500)
    const flags = [
      ...['--redis.url', redis.url, '--neuron.data_dir', data, '--deleter.port', '0'],
      ...['--deleter.every_seconds', '1'],
    ]
    const files = async () =>
      (await readdir(join(data, 'store', 'objects'), { recursive: true })).filter((name) =>
        name.endsWith('.mp4'),
      )
    const first = await MinerProcess.run(SHIPPED.deleter, dir, flags)
    while ((await files()).length > 1) await clock.sleep(50)
    await first.end()
    const due = await put(clock.now())
    const second = await MinerProcess.run(SHIPPED.deleter, dir, [
      ...flags,
      '--deleter.every_seconds',
      '3600',
    ])
    try {
      const { port } = await second.event('deleter.opened')
      const origin = `http://127.0.0.1:${port}`
      assert.equal((await fetch(`${origin}/health`)).status, 200)
      const swept = await fetch(`${origin}/sweep`, { method: 'POST' })
      assert.equal(swept.status, 200)
      assert.deepEqual(await files(), [keep])
      assert.equal(await schedule.dieAt(due), undefined)
      const metrics = await (await fetch(`${origin}/metrics`)).text()
      assert.match(metrics, /subnet_storage_deleted_total\{why="due"\} [12]/)
      assert.equal(await second.end('SIGTERM'), 0)
    } finally {
      await second.end()
      client.disconnect()
    }
  })
})
