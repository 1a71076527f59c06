import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HandlerContext } from '#src/axon/index.js'
import { loadConfig } from '#src/config/index.js'
import { SubnetError } from '#src/lib/errors.js'
import { silentLog } from '#src/lib/log.js'
import { refusalOf } from '#src/miner/admission.js'
import { chooseSlots } from '#src/miner/bench-host.js'
import { blockedBy } from '#src/miner/blocked.js'
import { MinerError } from '#src/miner/errors.js'
import { type GenerateRoutesModules, generateRoutes } from '#src/miner/handlers/generate.js'
import { statusOf, wireCapacity } from '#src/miner/handlers/task.js'
import { Offer } from '#src/miner/offer.js'
import { queueSettings } from '#src/miner/shared.js'
import { compressTask, resultUrls, taskIdOf, upscaleTask } from '#src/miner/tasks.js'
import { CompressPayloadSchema, UpscalePayloadSchema } from '#src/protocol/index.js'
import { QueueError } from '#src/queue/index.js'
import type { JobView } from '#src/queue/types.js'

const codeOf = (work: () => unknown) => {
  try {
    work()
    return 'OK'
  } catch (error) {
    return error instanceof SubnetError ? error.code : 'OTHER'
  }
}

describe('miner', () => {
  it('takes four times the size for SD24K and twice for every other task type', () => {
    const scales = (types: string[]) =>
      upscaleTask(
        UpscalePayloadSchema.parse({
          reference_video_urls: types.map((type) => `https://x/${type}`),
          task_types: types,
        }),
      ).videos.map((video) => video.scale)
    assert.deepEqual(scales(['SD24K', 'SD2HD', 'HD24K', '4K28K', 'other']), [4, 2, 2, 2, 2])
  })

  it('knows codecs by their usual names and refuses others by code', () => {
    const of = (target_codec: string, codec_mode = 'CRF') =>
      compressTask(
        CompressPayloadSchema.parse({
          reference_video_url: 'https://x/',
          target_codec,
          codec_mode,
        }),
      ).videos[0]
    assert.equal(of('AV1')?.codec, 'av1')
    assert.equal(of('libx265')?.codec, 'hevc')
    assert.equal(of('h264', 'cbr')?.mode, 'VBR')
    assert.equal(of('h264', 'VBR')?.targetBitrateKbps, 10_000)
    assert.equal(
      codeOf(() => of('mpeg2')),
      'MINER_BAD_TASK',
    )
    assert.equal(
      codeOf(() => of('av1', 'ABR')),
      'MINER_BAD_TASK',
    )
  })

  it('gives tasks without an id one that depends on all that was asked', () => {
    const task = (url: string) =>
      upscaleTask(UpscalePayloadSchema.parse({ reference_video_url: url }))
    assert.equal(taskIdOf('r', task('https://a/')), taskIdOf('r', task('https://a/')))
    assert.notEqual(taskIdOf('r', task('https://a/')), taskIdOf('s', task('https://a/')))
    assert.notEqual(taskIdOf('r', task('https://a/')), taskIdOf('r', task('https://b/')))
  })

  it('hands out no URL whose time is over, and nothing of what it cannot read', () => {
    const done = (url: string, expiresAtMs: number) =>
      ({ ok: true, url, expiresAtMs, engine: 'x' }) as const
    const videos = [done('https://a', 100), { ok: false, code: 'C', message: 'm' }, done('b', 5)]
    assert.deepEqual(resultUrls({ videos }, 50), ['https://a', '', ''])
    assert.deepEqual(resultUrls({ other: 1 }, 0), [])
    assert.deepEqual(resultUrls(undefined, 0), [])
  })

  it('refuses with 429 and a time to come back, 503 while it cannot work, 400 for the impossible', () => {
    const kind = 'upscale'
    const cases = [
      [new QueueError({ code: 'QUEUE_FULL', kind, retryAfterMs: 7_000 }, 'full'), 429, 7_000],
      [new QueueError({ code: 'QUEUE_LATE', kind, retryAfterMs: 9_000 }, 'late'), 429, 9_000],
      [new QueueError({ code: 'QUEUE_NO_WORKER', kind, retryAfterMs: 30 }, 'none'), 503, 30],
      [new QueueError({ code: 'QUEUE_UNAVAILABLE' }, 'away'), 503, 5_000],
      [new MinerError({ code: 'MINER_KIND_NOT_OFFERED', kind }, 'no'), 400, undefined],
      [new MinerError({ code: 'MINER_BAD_TASK', field: 'x' }, 'no'), 400, undefined],
    ] as const
    for (const [error, status, retryAfterMs] of cases) {
      const refusal = refusalOf(error)
      assert.deepEqual([refusal?.status, refusal?.retryAfterMs], [status, retryAfterMs], error.code)
    }
    assert.equal(refusalOf(new Error('boom')), undefined)
    const secret = new QueueError({ code: 'QUEUE_UNAVAILABLE' }, 'redis://user:pass@host is away')
    assert.ok(!refusalOf(secret)?.message.includes('pass'))
  })

  it('offers kinds in the order of the operator and refuses names it does not know', () => {
    assert.deepEqual(new Offer(['compression', 'upscaling']).warrants, [1, 2])
    assert.equal(
      codeOf(() => new Offer(['upscaling', 'mining'])),
      'MINER_CONFIG',
    )
    assert.equal(
      codeOf(() => new Offer([])),
      'MINER_CONFIG',
    )
    assert.equal(
      codeOf(() => new Offer(['upscaling']).require('compress')),
      'MINER_KIND_NOT_OFFERED',
    )
  })

  it('reads every state of a job in the words of the wire', () => {
    const view = (state: JobView['state'], code?: string): JobView => ({
      id: 'x',
      kind: 'upscale',
      state,
      progress: 0.456,
      etaMs: 1_500,
      result: undefined,
      error: code === undefined ? undefined : { code, message: 'm' },
    })
    assert.deepEqual(statusOf(view('active')), {
      status: 'processing',
      progress: 45,
      estimated_time: 2,
    })
    assert.equal(statusOf(view('waiting')).status, 'pending')
    assert.equal(statusOf(view('completed')).status, 'completed')
    assert.equal(statusOf(view('cancelled', 'QUEUE_CANCELLED')).status, 'failed')
    assert.equal(statusOf(view('failed', 'QUEUE_DEADLINE')).status, 'timeout')
    assert.equal(statusOf(view('failed', 'FETCH_STATUS')).error_message, 'FETCH_STATUS')
  })

  it('chooses as many slots as still raise the output by a tenth', () => {
    const steps = (...rates: number[]) =>
      rates.map((jobsPerMinute, n) => ({ slots: 2 ** n, jobsPerMinute }))
    assert.equal(chooseSlots(steps(10, 19, 30, 31)), 4)
    assert.equal(chooseSlots(steps(10, 10.5, 30)), 1)
    assert.equal(chooseSlots(steps(10)), 1)
    assert.equal(chooseSlots([]), 1)
  })

  it('refuses generation tasks of blocked addresses as subnet 99 does, and knows its own settings', async () => {
    const isBlocked = blockedBy('miner.generate_blocked_ips', ['192.0.2.7', '2001:db8::/32'])
    for (const address of ['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::1'])
      assert.ok(isBlocked(address), address)
    for (const address of ['192.0.2.8', '2001:db9::1', '127.0.0.1'])
      assert.equal(isBlocked(address), false, address)
    for (const wrong of ['gpu1', '192.0.2.7/40'])
      assert.equal(
        codeOf(() => blockedBy('x', [wrong])),
        'MINER_CONFIG',
        wrong,
      )
    const modules = { log: silentLog() } as unknown as GenerateRoutesModules
    const routes = generateRoutes({ timeoutMs: 1, minStake: 0, isBlocked }, modules)
    const videoTask = routes.find(({ definition }) => definition.name === 'VideoTask')
    const context = { caller: { address: '192.0.2.7' } } as HandlerContext
    const answer = await videoTask?.run({ task_id: 'a', workflow_params: { 1: {} } }, context)
    assert.deepEqual(answer, { status_code: 403, error: 'IP is blacklisted' })
  })

  it('keeps a result askable as long as its URL works, and an hour at least', () => {
    const keptMs = (...argv: string[]) => queueSettings(loadConfig({ argv, env: {} }).config).keepMs
    assert.equal(keptMs(), 3_600_000)
    assert.equal(keptMs('--bucket.expiry_seconds=604800'), 604_800_000)
  })

  it('says how much room each kind of work has, and how much generation has to who asks no further', () => {
    const lane = {
      available: true,
      active: 1,
      waiting: 0,
      maxConcurrent: 2,
      estimatedWaitMs: 4_000,
    }
    const full = { ...lane, available: false, waiting: 5, estimatedWaitMs: 9_000 }
    const roomOf = (available: boolean, queue: number, wait: number, most = 2) => ({
      available,
      queue_size: queue,
      estimated_wait_time: wait,
      max_concurrent_tasks: most,
    })
    const open = roomOf(true, 1, 4)
    const none = roomOf(false, 6, 9)
    assert.deepEqual(
      wireCapacity([
        ['compress', lane],
        ['generate', full],
      ]),
      { ...none, lanes: { compression: open, generation: none } },
    )
    assert.deepEqual(
      wireCapacity([
        ['compress', lane],
        ['upscale', full],
      ]),
      { ...roomOf(true, 7, 4, 4), lanes: { compression: open, upscaling: none } },
    )
  })
})
