import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chmod, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { z } from 'zod'
import { CompressEngine, type Engine, EngineError, type VideoResult } from '#src/engines/index.js'
import { SpanEngine } from '#src/engines/upscale/span-engine.js'
import { Video2xEngine } from '#src/engines/upscale/video2x.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { Workspace } from '#src/lib/workspace.js'
import { ComfyPool, parseComfyServers, WorkflowFirewall } from '#src/media/comfyui/index.js'
import { LocalRunner, type VideoRunner } from '#src/miner/runners.js'
import { MinerWorker, type WorkerLane } from '#src/miner/worker.js'
import { BullJobQueue, BullWorkers } from '#src/queue/index.js'
import type { JobKind } from '#src/queue/types.js'
import { ModelStore } from '#src/scoring/metrics/index.js'
import type { Delivery } from '#src/storage/index.js'
import { makeClip, tempFolder } from '../../support/clips.js'
import { DevComfyProcess } from '../../support/devcomfy-process.js'
import { installFakeVideo2x } from '../../support/fake-video2x.js'
import { ClipServer, scratch } from '../../support/miner.js'
import { freePort } from '../../support/ports.js'
import { PsnrMeter } from '../../support/psnr-meter.js'
import { TestRedis } from '../../support/redis.js'

/** Looks a hundred times as often, and can be put forward. */
class HastyClock extends SystemClock {
  aheadMs = 0

  override monotonic(): number {
    return super.monotonic() + this.aheadMs
  }

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(ms / 100, signal)
  }
}

const clock = new SystemClock()
const videoSchema = z.object({ url: z.string() })
type Video = z.infer<typeof videoSchema>
const schema = z.object({ videos: z.array(videoSchema) })
const soon = () => AbortSignal.timeout(60_000)

/** A worker of one lane over a real Redis, and who asks it for work. */
class Rig {
  readonly queue: BullJobQueue
  readonly clock = new HastyClock()
  readonly #kind: JobKind
  readonly #url: string
  #asked = 0

  private constructor(queue: BullJobQueue, kind: JobKind, url: string) {
    this.queue = queue
    this.#kind = kind
    this.#url = url
  }

  static async open(
    t: TestContext,
    redis: TestRedis,
    url: string,
    lane: Pick<WorkerLane<Video>, 'kind' | 'runner' | 'remote'>,
  ): Promise<Rig> {
    const log = silentLog()
    const settings = { prefix: `{${randomUUID()}}`, attempts: 1 }
    const options = { redisUrl: redis.url, settings }
    const queue = await BullJobQueue.open(options, { log, clock })
    const workers = new BullWorkers(options, { log, clock })
    const root = await tempFolder(t)
    const workspace = new Workspace({ root, minFreeBytes: 0 }, { clock, rng: new SystemRng(), log })
    await workspace.open()
    const rig = new Rig(queue, lane.kind, url)
    const worker = new MinerWorker({ workers, workspace, clock: rig.clock, log })
    t.after(async () => {
      await worker.close(0)
      await queue.close()
    })
    await worker.open({ slots: 1, schema, ...lane })
    worker.start()
    return rig
  }

  /** The code with which a task ended, `OK` when it did not fail. */
  async task(url = this.#url): Promise<string> {
    this.#asked += 1
    const { id } = await this.queue.enqueue({
      kind: this.#kind,
      hotkey: 'h',
      taskId: `t${this.#asked}`,
      payload: { videos: [{ url }] },
      stake: 0,
      timeoutMs: 120_000,
    })
    return (await this.queue.wait(id, soon())).error?.code ?? 'OK'
  }

  /** Resolves when the lane says that it takes work, or that it takes none. */
  async says(available: boolean): Promise<void> {
    const late = soon()
    for (;;) {
      late.throwIfAborted()
      if ((await this.queue.capacity(this.#kind)).available === available) return
      await clock.sleep(20)
    }
  }

  /** One task after the other until the lane refuses them; the codes of those that were taken. */
  async untilClosed(): Promise<string[]> {
    const codes: string[] = []
    try {
      for (;;) codes.push(await this.task())
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'QUEUE_NO_WORKER')
      return codes
    }
  }
}

const local = <P>(engine: Engine<P, VideoResult>, params: P): VideoRunner<Video> =>
  new LocalRunner<Video, P>(
    { kind: 'upscale', paramsOf: () => params, maxInputBytes: 1_000_000 },
    {
      engine,
      clock,
      rng: new SystemRng(),
      fetcher: new GuardedFetcher({ allowPrivate: true, allowHttp: true }),
      delivery: {
        deliver: async () => ({ url: 'https://store.example/r', key: 'k', expiresAtMs: 9e15 }),
      } as unknown as Delivery,
    },
  )

const script = (path: string, text: string) =>
  writeFile(path, `#!/bin/sh\n${text}\n`).then(() => chmod(path, 0o755))

describe('a lane whose engine is dead', () => {
  let redis: TestRedis
  let clips: ClipServer
  let url = ''
  let remove = async () => {}

  before(async () => {
    redis = await TestRedis.start()
    const made = await scratch()
    remove = made.remove
    const clip = await makeClip(join(made.dir, 'clip.mp4'), { frames: 4, size: '160x96' })
    await writeFile(join(made.dir, 'cut.mp4'), (await readFile(clip)).subarray(0, 500))
    clips = await ClipServer.start(made.dir)
    url = clips.url(clip)
  })
  after(async () => {
    await clips.close()
    await redis.close()
    await remove()
  })

  const open = (t: TestContext, runner: VideoRunner<Video>, kind: JobKind = 'upscale') =>
    Rig.open(t, redis, url, { kind, runner, remote: kind === 'generate' })

  it('closes while Video2X is gone or crashes, and opens when it works', async (t) => {
    const folder = await tempFolder(t)
    const path = await installFakeVideo2x(folder)
    const rig = await open(t, local(new Video2xEngine({ path }), { scale: 2, codec: 'h264' }))
    assert.equal(await rig.task(), 'OK')
    await script(path, 'echo Segmentation fault; exit 139')
    assert.deepEqual(await rig.untilClosed(), ['ENGINE_FAILED', 'ENGINE_FAILED'])
    await installFakeVideo2x(folder)
    await rig.says(true)
    assert.equal(await rig.task(), 'OK')
    await rm(path)
    assert.deepEqual(await rig.untilClosed(), ['MEDIA_TOOL_MISSING', 'MEDIA_TOOL_MISSING'])
    await installFakeVideo2x(folder)
    await rig.says(true)
  })

  for (const [kind, make] of [
    [
      'upscale',
      (ffmpegPath: string) => local(new SpanEngine({ tools: { ffmpegPath } }), { scale: 2 }),
    ],
    [
      'compress',
      (ffmpegPath: string) =>
        local(new CompressEngine({ meter: new PsnrMeter(), tools: { ffmpegPath } }), {
          vmafThreshold: 50,
          codec: 'h264',
          mode: 'CRF',
        }),
    ],
  ] as const) {
    it(`${kind}: closes while ffmpeg is gone or crashes, and opens when it works`, async (t) => {
      const path = join(await tempFolder(t), 'ffmpeg')
      await symlink('/usr/bin/ffmpeg', path)
      const rig = await open(t, make(path), kind)
      assert.equal(await rig.task(), 'OK')
      await rm(path)
      const gone = await rig.untilClosed()
      assert.deepEqual(gone, ['MEDIA_TOOL_MISSING', 'MEDIA_TOOL_MISSING'])
      await script(path, 'exit 139')
      // What fails may be the video: the engine is asked before the lane is closed.
      await clock.sleep(200)
      assert.equal((await rig.queue.capacity(kind)).available, false)
      await rm(path)
      await symlink('/usr/bin/ffmpeg', path)
      await rig.says(true)
      assert.equal(await rig.task(), 'OK')
      await rm(path)
      await script(path, 'exit 139')
      await rig.untilClosed()
    })
  }

  it('stays closed while a model of SPAN is altered', async (t) => {
    const models = await tempFolder(t)
    const shipped = await ModelStore.open()
    const names = ['spanx2_ch48', 'spanx4_ch48']
    const manifest = names.map((name) => ({ ...shipped.entry(name), file: `${name}.onnx` }))
    await writeFile(join(models, 'manifest.json'), JSON.stringify(manifest))
    for (const name of names)
      await writeFile(join(models, `${name}.onnx`), await shipped.read(name))
    await writeFile(join(models, 'spanx4_ch48.onnx'), 'altered')
    const openStore = ModelStore.open
    t.mock.method(ModelStore, 'open', () => openStore.call(ModelStore, models))
    const rig = await open(t, local(new SpanEngine(), { scale: 2 }))
    await assert.rejects(rig.task(), { code: 'QUEUE_NO_WORKER' })
    await writeFile(join(models, 'spanx4_ch48.onnx'), await shipped.read('spanx4_ch48'))
    await rig.says(true)
    assert.equal(await rig.task(), 'OK')
  })

  it('closes while ComfyUI is dead, before any task fails, and opens when it is back', async (t) => {
    const port = `${await freePort()}`
    const start = () => DevComfyProcess.start('--port', port)
    const first = await start()
    const pool = new ComfyPool(
      { servers: parseComfyServers([first.address]), pollMs: 100 },
      { firewall: new WorkflowFirewall({ models: 'any' }) },
    )
    t.after(() => pool.close())
    const runner: VideoRunner<Video> = {
      ready: (signal) => pool.ready(signal),
      run: () => assert.fail('nothing is asked of it'),
      close: async () => {},
    }
    const rig = await open(t, runner, 'generate')
    await rig.says(true)
    await first.kill()
    await rig.says(false)
    await using _second = await start()
    await rig.says(true)
  })

  it('rests the longer the more often an engine passes its trial and fails its work', async (t) => {
    let broken = true
    const runner: VideoRunner<Video> = {
      ready: async () => {},
      run: async () => {
        if (!broken) return { ok: true, url: 'u', expiresAtMs: 9e15, engine: 'e' }
        throw new EngineError({ code: 'ENGINE_FAILED', engine: 'e', exitCode: 1 }, 'crashed')
      },
      close: async () => {},
    }
    const rig = await open(t, runner)
    for (let n = 0; n < 2; n += 1) assert.equal(await rig.task(), 'ENGINE_FAILED')
    await rig.says(true)
    assert.equal(await rig.task(), 'ENGINE_FAILED')
    await clock.sleep(300)
    assert.equal((await rig.queue.capacity('upscale')).available, false, 'several looks later')
    broken = false
    rig.clock.aheadMs += 60_000
    await rig.says(true)
    assert.equal(await rig.task(), 'OK')
  })

  it('closes when working files filled the disk, and opens when there is room', async (t) => {
    let full = true
    const runner: VideoRunner<Video> = {
      ready: async () => {},
      run: async () => {
        if (!full) return { ok: true, url: 'u', expiresAtMs: 9e15, engine: 'e' }
        full = false
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      },
      close: async () => {},
    }
    const rig = await open(t, runner)
    assert.equal(await rig.task(), 'LIB_DISK_FULL')
    await rig.says(true)
    assert.equal(await rig.task(), 'OK')
  })

  it('stays open for videos that cannot be read, once the engine has proved itself', async (t) => {
    const runner = local(new SpanEngine(), { scale: 2 })
    let proofs = 0
    const counted: VideoRunner<Video> = {
      ready: async (signal) => {
        await runner.ready(signal)
        proofs += 1
      },
      run: (video, context) => runner.run(video, context),
      close: () => runner.close(),
    }
    const rig = await open(t, counted)
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await rig.task(clips.url('/cut.mp4')), 'MEDIA_UNREADABLE')
    }
    while (proofs < 2) await clock.sleep(20)
    assert.equal(await rig.task(), 'OK')
  })
})
