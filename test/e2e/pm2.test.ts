import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { PROCESSES } from '#src/config/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { VideoUpscalingJob, VideoUpscalingPoll } from '#src/protocol/index.js'
import { makeClip } from '../support/clips.js'
import { ClipServer, caller, minerTarget, scratch } from '../support/miner.js'
import { Pm2 } from '../support/pm2.js'
import { processesWith } from '../support/processes.js'
import { TestRedis } from '../support/redis.js'
import { startMinerNet } from '../support/with-devnet.js'

const clock = new SystemClock()

describe('ecosystem.config.cjs under pm2', () => {
  let dir = ''
  let remove = async () => {}
  let redis: TestRedis
  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    redis = await TestRedis.start()
  })
  after(async () => {
    await redis.close()
    await remove()
  })

  it('names every process once, and waits longer for its end than the process does', () => {
    const { apps } = createRequire(import.meta.url)(resolve('ecosystem.config.cjs'))
    const names = apps.map(({ name }: { name: string }) => name).sort()
    assert.deepEqual(names, PROCESSES.map((name) => `video-${name}`).sort())
    for (const { name, kill_timeout } of apps) assert.ok(kill_timeout > 30_000, name)
  })

  it('keeps down at the eleventh crash, and the log says why', async (t) => {
    const taken = createServer()
    await new Promise<void>((done) => taken.listen(0, '127.0.0.1', done))
    t.after(() => taken.close())
    const address = taken.address()
    assert.ok(address !== null && typeof address !== 'string')
    const pm2 = new Pm2(join(dir, 'crash'), {
      PORT: String(address.port),
      GATEWAY_API_KEYS: 'test:0123456789abcdef0',
      REDIS_URL: redis.url,
      SUBREEL_DATA_DIR: join(dir, 'crash'),
    })
    t.after(() => pm2.close())
    await pm2.run('start', 'ecosystem.config.cjs', '--only', 'video-gateway')
    let app = await pm2.app('video-gateway')
    while (app.pm2_env.status !== 'errored') {
      await clock.sleep(500)
      app = await pm2.app('video-gateway')
    }
    assert.equal(app.pm2_env.restart_time, 10)
    const failures = (await pm2.log('video-gateway')).filter(
      ({ event }) => event === 'process.failed',
    )
    assert.equal(failures.length, 11)
    assert.match(JSON.stringify(failures[0]), /EADDRINUSE/)
    assert.match(await readFile(join(pm2.home, 'pm2.log'), 'utf8'), /too many unstable restarts/)
  })

  it('reloads a miner in the middle of a job, and the job is done', async (t) => {
    const clips = await ClipServer.start(dir)
    const target = await minerTarget()
    const bob = caller('//Bob')
    const devnet = await startMinerNet()
    const home = join(dir, 'reload')
    const pm2 = new Pm2(home, {
      BT_NETUID: '1',
      BT_NETWORK: devnet.url,
      BT_WALLET_HOTKEY: '//Alice',
      REDIS_URL: redis.url,
      SUBREEL_DATA_DIR: home,
      SUBREEL_TEMP_DIR: home,
      SUBREEL_DEVICE: 'cpu',
      SUBREEL_TASKS: 'upscaling',
      SUBREEL_ALLOW_PRIVATE_URLS: 'true',
      MINER_ARGS: `--axon.ip 127.0.0.1 --axon.external_ip 127.0.0.1 --axon.port ${target.port} --miner.min_free_mb 1`,
    })
    t.after(async () => {
      await pm2.close()
      await Promise.all([bob.close(), devnet.close(), clips.close()])
    })
    await makeClip(join(dir, 'clip.mp4'), { frames: 40, size: '160x90' })
    await pm2.run('start', 'ecosystem.config.cjs', '--only', 'video-miner')
    const job_id = randomUUID()
    const submit = () =>
      bob.call(target, VideoUpscalingJob, {
        job_id,
        miner_payload: { reference_video_url: clips.url('/clip.mp4'), task_type: 'SD2HD' },
      })
    while (!(await submit()).ok) await clock.sleep(200)
    while ((await processesWith(join(home, 'subreel-work'))).length === 0) await clock.sleep(20)
    const before = await pm2.app('video-miner')
    await pm2.run('reload', 'video-miner')
    const now = await pm2.app('video-miner')
    assert.notEqual(now.pid, before.pid)
    assert.equal(now.pm2_env.status, 'online')
    for (;;) {
      const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
      const status = answer.ok ? answer.response.poll_response.status : 'unreachable'
      if (status === 'completed') break
      assert.notEqual(status, 'failed')
      await clock.sleep(100)
    }
    const ends = (await pm2.log('video-miner')).filter(({ event }) => event === 'process.stopped')
    assert.equal(ends.length, 1, 'the first process ended by itself')
  })
})
