import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createDendrite, type Target } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { must } from '#src/lib/errors.js'
import { probeVideo } from '#src/media/index.js'
import {
  LengthCheck,
  MinerCapacity,
  TaskCancellation,
  TaskStatusCheck,
  TaskWarrant,
  VideoCompression,
  VideoUpscaling,
  VideoUpscalingJob,
  VideoUpscalingPoll,
} from '#src/protocol/index.js'
import { signerFromUri } from '#src/wallet/index.js'
import { makeClip } from '../support/clips.js'
import { ClipServer, caller, MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { TestRedis } from '../support/redis.js'
import { signed } from '../support/signed.js'

const clock = new SystemClock()

describe('a miner', () => {
  let redis: TestRedis | undefined
  let miner: MinerProcess | undefined
  let clips: ClipServer | undefined
  let target: Target
  let dir = ''
  let small = ''
  let remove = async () => {}
  const bob = caller('//Bob')

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    small = await makeClip(join(dir, 'small.mp4'), { frames: 25, size: '96x64', soundSeconds: 1 })
    redis = await TestRedis.start()
    clips = await ClipServer.start(dir)
    target = await minerTarget()
    miner = await MinerProcess.start({
      redisUrl: redis.url,
      dir,
      port: target.port,
      flags: ['--bucket.expiry_seconds', '4', '--deleter.every_seconds', '1'],
    })
  })
  after(async () => {
    await bob.close()
    await miner?.end()
    await clips?.close()
    await redis?.close()
    await remove()
  })

  const url = (query = `?${randomUUID()}`) => must(clips, 'clips').url(small, query)
  const stored = () => readdir(join(dir, 'data', 'store', 'objects'), { recursive: true })
  async function objects(): Promise<string[]> {
    return (await stored().catch(() => [])).filter((name) => name.endsWith('.mp4'))
  }

  it('says what it does and how long clips may be', async () => {
    const warrant = await bob.call(target, TaskWarrant, {})
    assert.ok(warrant.ok)
    assert.deepEqual(warrant.response.warrant_tasks, [2, 1])
    assert.equal(warrant.response.warrant_task, 2)
    const length = await bob.call(target, LengthCheck, {})
    assert.ok(length.ok)
    assert.equal(length.response.max_content_length, 10)
  })

  it('upscales a clip behind a URL, serves the result and deletes it in time', async () => {
    const answer = await bob.call(
      target,
      VideoUpscaling,
      { miner_payload: { reference_video_url: url(), task_type: 'SD24K' } },
      { timeoutMs: 60_000 },
    )
    assert.ok(answer.ok)
    const result = answer.response.miner_response.optimized_video_url
    const response = await fetch(result)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'video/mp4')
    const path = join(dir, 'result.mp4')
    await writeFile(path, Buffer.from(await response.arrayBuffer()))
    const { video } = await probeVideo(path)
    assert.deepEqual([video.width, video.height, video.frames], [384, 256, 25])
    const part = await fetch(result, { headers: { range: 'bytes=4-7' } })
    assert.equal(part.status, 206)
    assert.equal(await part.text(), 'ftyp')
    let status = 200
    for (let n = 0; n < 400 && (status !== 403 || (await objects()).length > 0); n += 1) {
      await clock.sleep(50)
      status = (await fetch(result, { method: 'HEAD' })).status
    }
    assert.equal(status, 403)
    assert.deepEqual(await objects(), [])
    assert.deepEqual(await readdir(join(dir, 'temp', 'subreel-work', await ownFolder())), [])
  })

  async function ownFolder(): Promise<string> {
    const names = await readdir(join(dir, 'temp', 'subreel-work'))
    return must(
      names.find((name) => name.startsWith(`p${miner?.pid}-`)),
      'working folder of the miner',
    )
  }

  it('compresses several clips in one task and marks what failed with an empty URL', async () => {
    const answer = await bob.call(
      target,
      VideoCompression,
      {
        miner_payload: {
          reference_video_urls: [url(), must(clips, 'clips').url('/none.mp4'), url()],
          vmaf_threshold: 85,
          target_codec: 'h264',
        },
      },
      { timeoutMs: 60_000 },
    )
    assert.ok(answer.ok)
    const urls = answer.response.miner_response.optimized_video_urls
    assert.equal(urls.length, 3)
    assert.match(urls[0] ?? '', /^http:\/\/127\.0\.0\.1:\d+\/objects\/compression\//)
    assert.equal(urls[1], '')
    assert.match(urls[2] ?? '', /^http/)
    await must(miner, 'miner').failure('FETCH_STATUS')
  })

  it('marks each video that cannot be had with an empty URL and says why, and does the others', async (t) => {
    const head = (await readFile(small)).subarray(0, 2_000)
    const requests = new Map<string, number>()
    const server = createServer((request, response) => {
      const path = request.url ?? ''
      requests.set(path, (requests.get(path) ?? 0) + 1)
      const status = Number(path.slice(1))
      if (status > 0) response.writeHead(status).end('<Error><Code>Expired</Code></Error>')
      if (path === '/html') response.end('<!doctype html><html>not a video</html>')
      if (path === '/empty') response.end()
      if (path === '/damaged') response.end(head)
      if (path === '/cut') response.writeHead(200, { 'content-length': 5_000 }).write(head)
      if (path === '/cut') setTimeout(() => response.destroy(), 50)
      if (path === '/huge') response.writeHead(200, { 'content-length': 1e13 }).flushHeaders()
      if (path === '/away') response.writeHead(302, { location: '/away' }).end()
      // And of /hang nothing is ever heard.
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const cases = [
      ['/hang', 'FETCH_TIMEOUT', /no complete answer/],
      ['/403', 'FETCH_STATUS', /answered 403/],
      ['/404', 'FETCH_STATUS', /answered 404/],
      ['/410', 'FETCH_STATUS', /answered 410/],
      ['/500', 'FETCH_STATUS', /answered 500/],
      ['/503', 'FETCH_STATUS', /answered 503/],
      ['/html', 'MEDIA_FORMAT_REFUSED', /./],
      ['/empty', 'MEDIA_EMPTY', /./],
      ['/damaged', 'MEDIA_UNREADABLE', /./],
      ['/cut', 'FETCH_TRUNCATED', /after 2000 bytes/],
      ['/huge', 'FETCH_TOO_LARGE', /larger than/],
      ['/away', 'FETCH_REDIRECTS', /./],
      [`/${'a'.repeat(5_000)}`, 'FETCH_URL_REFUSED', /longer than 4096/],
    ] as const
    const sources = cases.map(([path]) => `${origin}${path}`)
    const unusable = [
      ['ftp://clips.example/a.mp4', 'FETCH_URL_REFUSED', /scheme ftp/],
      ['no URL', 'FETCH_URL_REFUSED', /not a URL/],
      ['http://nowhere.invalid/a.mp4', 'FETCH_DNS_FAILED', /cannot resolve/],
      ['http://127.0.0.1:9/a.mp4', 'FETCH_CONNECTION_FAILED', /./],
    ] as const
    const answer = await bob.call(
      target,
      VideoUpscaling,
      {
        miner_payload: {
          reference_video_urls: [...sources, ...unusable.map(([source]) => source), url()],
        },
      },
      { timeoutMs: 60_000 },
    )
    assert.ok(answer.ok)
    const urls = answer.response.miner_response.optimized_video_urls
    assert.equal(urls.length, cases.length + unusable.length + 1)
    const { adminPort } = await must(miner, 'miner').event('process.started')
    const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    for (const [index, [source, code, message]] of [...cases, ...unusable].entries()) {
      const name = source.slice(0, 30)
      assert.equal(urls[index], '', name)
      await must(miner, 'miner').line(
        (line) =>
          line['event'] === 'video.failed' &&
          line['code'] === code &&
          message.test(String((line['err'] as Error).message)),
        `failure ${code} of ${name}`,
      )
      assert.ok(metrics.includes(`subnet_miner_videos_total{kind="upscale",code="${code}"}`), name)
    }
    assert.match(urls.at(-1) ?? '', /^http/, 'the one that can be had')
    assert.deepEqual(
      ['/403', '/404', '/410', '/500', '/503'].map((path) => requests.get(path)),
      [1, 1, 1, 3, 3],
      'asked again only where that may help',
    )
    assert.deepEqual(await readdir(join(dir, 'temp', 'subreel-work', await ownFolder())), [])
  })

  it('answers a task whose only video cannot be had with an empty URL, not an error', async () => {
    const answer = await bob.call(
      target,
      VideoUpscaling,
      { miner_payload: { reference_video_url: must(clips, 'clips').url('/gone.mp4') } },
      { timeoutMs: 60_000 },
    )
    assert.ok(answer.ok)
    assert.equal(answer.response.miner_response.optimized_video_url, '')
  })

  it('gives the same answer to the same task twice, from one job', async () => {
    const payload = { round_id: 'r1', miner_payload: { reference_video_url: url() } }
    const answers = await Promise.all(
      [1, 2].map(() => bob.call(target, VideoUpscaling, payload, { timeoutMs: 60_000 })),
    )
    const urls = answers.map((answer) => {
      assert.ok(answer.ok)
      return answer.response.miner_response.optimized_video_url
    })
    assert.match(urls[0] ?? '', /^http/)
    assert.equal(urls[0], urls[1])
  })

  it('works on a job that is polled for, and keeps its result', async () => {
    const job_id = randomUUID()
    const accepted = await bob.call(target, VideoUpscalingJob, {
      job_id,
      miner_payload: { reference_video_url: url() },
    })
    assert.ok(accepted.ok)
    assert.equal(accepted.response.job_response.accepted, true)
    const poll = async (dendrite = bob) => {
      const answer = await dendrite.call(target, VideoUpscalingPoll, { job_id })
      assert.ok(answer.ok)
      return answer.response.poll_response
    }
    let seen = await poll()
    while (seen.status === 'processing') {
      await clock.sleep(50)
      seen = await poll()
    }
    assert.equal(seen.status, 'completed')
    assert.match(seen.optimized_video_url, /^http/)
    assert.deepEqual(await poll(), seen)
    const charlie = caller('//Charlie')
    assert.equal((await poll(charlie)).status, 'unknown')
    await charlie.close()
    const status = await bob.call(target, TaskStatusCheck, { task_id: job_id })
    assert.ok(status.ok)
    assert.equal(status.response.status, 'completed')
    assert.equal(status.response.progress, 100)
  })

  it('refuses beyond its room at once with a time to come back, and says its capacity truly', async () => {
    const long = await makeClip(join(dir, 'long.mp4'), { frames: 400, size: '640x360' })
    const source = must(clips, 'clips').url(long)
    const ids = Array.from({ length: 8 }, () => randomUUID())
    const answers = []
    for (const [n, job_id] of ids.entries()) {
      const miner_payload = { reference_video_url: `${source}?${n}`, task_type: 'SD24K' }
      answers.push(await bob.call(target, VideoUpscalingJob, { job_id, miner_payload }))
    }
    assert.equal(answers.filter((answer) => answer.ok).length, 6)
    const refused = answers.filter((answer) => !answer.ok)
    for (const answer of refused) assert.equal(answer.statusCode, 429)
    for (const answer of refused) assert.ok(answer.processTimeMs < 2_000)
    const one_more = signed(
      VideoUpscalingJob,
      { job_id: randomUUID(), miner_payload: { reference_video_url: source } },
      { sender: signerFromUri('//Bob'), receiver: target.hotkey },
    )
    const { method, headers, payload } = one_more
    const axon = `http://127.0.0.1:${target.port}${one_more.url}`
    const reply = await fetch(axon, { method, headers, body: payload })
    assert.equal(reply.status, 429)
    assert.ok(Number(reply.headers.get('retry-after')) >= 1, 'says when to come back')
    const capacity = await bob.call(target, MinerCapacity, {})
    assert.ok(capacity.ok)
    assert.equal(capacity.response.queue_size, 6)
    assert.equal(capacity.response.max_concurrent_tasks, 2)
    for (const task_id of ids.slice(0, 6)) {
      const cancelled = await bob.call(target, TaskCancellation, { task_id })
      assert.ok(cancelled.ok)
      assert.equal(cancelled.response.success, true, task_id)
    }
    let left = 6
    while (left > 0) {
      const now = await bob.call(target, MinerCapacity, {})
      assert.ok(now.ok)
      left = now.response.queue_size
      await clock.sleep(20)
    }
    const status = await bob.call(target, TaskStatusCheck, { task_id: must(ids[0], 'id') })
    assert.ok(status.ok)
    assert.equal(status.response.status, 'failed')
    assert.equal(status.response.error_message, 'QUEUE_CANCELLED')
  })

  it('turns away who is not registered or has no permit', async () => {
    for (const uri of ['//Dave', '//Eve']) {
      const stranger = createDendrite({ wallet: signerFromUri(uri), allowPrivate: true })
      const answer = await stranger.call(target, TaskWarrant, {})
      assert.equal(answer.ok, false, uri)
      assert.equal(answer.statusCode, 403, uri)
      await stranger.close()
    }
  })

  it('speaks only the protocol it is told to', async () => {
    const port = (await minerTarget()).port
    const only = await MinerProcess.start({
      ...{ redisUrl: must(redis, 'redis').url, dir, port },
      flags: ['--role', 'axon', '--axon.protocols', 'btauth'],
    })
    for (const [protocol, status] of [
      ['legacy', 401],
      ['btauth1', 200],
    ] as const) {
      const end = createDendrite({ wallet: signerFromUri('//Bob'), allowPrivate: true, protocol })
      const answer = await end.call({ ...target, port }, TaskWarrant, {})
      assert.equal(answer.statusCode, status, protocol)
      await end.close()
    }
    await only.end()
  })
})
