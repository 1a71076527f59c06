import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Target } from '#src/dendrite/index.js'
import type { Devnet } from '#src/devnet/index.js'
import { SystemClock } from '#src/lib/clock.js'
import {
  VideoCompression,
  VideoUpscaling,
  VideoUpscalingJob,
  VideoUpscalingPoll,
} from '#src/protocol/index.js'
import { createDevWallet, signerFromUri } from '#src/wallet/index.js'
import { makeClip } from '../support/clips.js'
import { type Host, type HostedProcess, Lab } from '../support/hosts.js'
import { ClipServer, caller, scratch } from '../support/miner.js'
import { freePort } from '../support/ports.js'
import { TestRedis } from '../support/redis.js'
import { bucketEnv, openS3, type S3Server, startSeaweed } from '../support/s3.js'
import { startMinerNet } from '../support/with-devnet.js'

const clock = new SystemClock()
const UPSCALER_PORT = '29115'

describe('a miner spread over hosts that share Redis and a bucket alone', () => {
  const lab = new Lab()
  const bob = caller('//Bob')
  let redis: TestRedis
  let s3: S3Server
  let devnet: Devnet
  let clips: ClipServer
  let target: Target
  let dir = ''
  let remove = async () => {}
  let env: Record<string, string> = {}
  let workerHost: Host
  let worker: HostedProcess
  let deleterHost: Host
  const flags = ['--allow-private-urls', '--queue.max_waiting', '20', '--miner.min_free_mb', '1']

  const startWorker = (host: Host, upscaler: string) =>
    host.run('dist/miner.js', ['--role', 'worker', '--miner.upscaler_url', upscaler, ...flags], env)

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    redis = await TestRedis.start({ host: lab.center })
    s3 = await startSeaweed(lab.center)
    devnet = await startMinerNet(lab.center)
    await makeClip(join(dir, 'clip.mp4'), { frames: 25, size: '96x64' })
    clips = await ClipServer.start(dir, lab.center)
    env = {
      ...bucketEnv(s3.endpoint),
      REDIS_URL: redis.url,
      BT_NETUID: '1',
      BT_NETWORK: devnet.url,
      SUBREEL_DEVICE: 'cpu',
      BUCKET_EXPIRY_SECONDS: '40',
    }
    const [axonHost, upscalerHost] = [await lab.host(dir, 'axon'), await lab.host(dir, 'upscaler')]
    workerHost = await lab.host(dir, 'worker')
    deleterHost = await lab.host(dir, 'deleter')
    const upscaler = upscalerHost.run(
      'dist/services/upscaler/main.js',
      ['--service.host', upscalerHost.ip, '--upscaler.port', UPSCALER_PORT, '--allow-private-urls'],
      env,
    )
    await upscaler.up()
    worker = startWorker(workerHost, `http://${upscalerHost.ip}:${UPSCALER_PORT}`)
    // The key lies on the host of the axon alone.
    const wallet = { path: join(axonHost.dir, 'wallets'), name: 'test', hotkey: 'alice' }
    await createDevWallet({ ...wallet, hotkeyUri: '//Alice' })
    const port = await freePort()
    target = { hotkey: signerFromUri('//Alice').address, ip: axonHost.ip, port }
    const axon = axonHost.run(
      'dist/miner.js',
      [
        ...['--role', 'axon', '--no-deleter.in_miner', '--axon.port', String(port)],
        ...['--axon.ip', axonHost.ip, '--axon.external_ip', axonHost.ip, ...flags],
        ...['--wallet.path', wallet.path, '--wallet.name', wallet.name],
        ...['--wallet.hotkey', wallet.hotkey],
      ],
      env,
    )
    await Promise.all([worker.up(), axon.up()])
  })
  after(async () => {
    await lab.close()
    await Promise.all([bob.close(), devnet.close(), clips.close(), s3.close(), redis.close()])
    await remove()
  })

  it('upscales on a third host and compresses on a second what the first took in', async () => {
    const up = await bob.call(
      target,
      VideoUpscaling,
      { miner_payload: { reference_video_url: clips.url('/clip.mp4') } },
      { timeoutMs: 120_000 },
    )
    const down = await bob.call(
      target,
      VideoCompression,
      {
        miner_payload: {
          reference_video_url: clips.url('/clip.mp4', '?small'),
          vmaf_threshold: 85,
          target_codec: 'h264',
        },
      },
      { timeoutMs: 120_000 },
    )
    for (const answer of [up, down]) {
      assert.ok(answer.ok, answer.statusMessage)
      const url = answer.response.miner_response.optimized_video_url
      assert.ok(url.startsWith(s3.endpoint), `not in the bucket: ${url} ${worker.complaints}`)
      assert.equal((await fetch(url)).status, 200)
    }
    const files = async (host: string) =>
      (await readdir(join(dir, host), { recursive: true })).filter((name) => name.endsWith('.mp4'))
    for (const host of ['axon', 'worker', 'upscaler'])
      assert.deepEqual(await files(host), [], `${host} keeps no file`)
  })

  it('does on a new host the job of one that vanished', async () => {
    const job_id = randomUUID()
    const accepted = await bob.call(target, VideoUpscalingJob, {
      job_id,
      miner_payload: { reference_video_url: clips.url('/clip.mp4', '?job'), task_type: 'SD2HD' },
    })
    assert.ok(accepted.ok, accepted.statusMessage)
    await worker.end('SIGKILL')
    const other = await lab.host(dir, 'other')
    await other.run('dist/miner.js', ['--role', 'worker', ...flags], env).up()
    for (;;) {
      const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
      const status = answer.ok ? answer.response.poll_response.status : answer.statusMessage
      if (status === 'completed') break
      assert.notEqual(status, 'failed')
      await clock.sleep(100)
    }
  })

  it('deletes from yet another host when the time of the results is over', async () => {
    const store = await openS3(s3.endpoint)
    const left = async () => {
      let count = 0
      for await (const _ of store.list('')) count += 1
      return count
    }
    assert.ok((await left()) > 0)
    const deleter = deleterHost.run(
      'dist/services/deleter/main.js',
      ['--deleter.every_seconds', '1'],
      env,
    )
    await deleter.up()
    while ((await left()) > 0) await clock.sleep(200)
    assert.equal(await deleter.end(), 0)
  })
})
