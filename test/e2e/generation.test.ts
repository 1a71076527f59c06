import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import type { Target } from '#src/dendrite/index.js'
import { DevComfy } from '#src/devcomfy/index.js'
import { must } from '#src/lib/errors.js'
import { probeVideo } from '#src/media/index.js'
import { packageMetadataSchema, readPackage } from '#src/media/package/index.js'
import {
  ComfySupport,
  MinerCapacity,
  type RequestInput,
  TaskStatusCheck,
  VideoGenerationTask,
  VideoTask,
} from '#src/protocol/index.js'
import { SHIPPED_WORKFLOWS, type Workflow, WorkflowStore } from '#src/workflows/index.js'
import { caller, MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { freePort } from '../support/ports.js'
import { TestRedis } from '../support/redis.js'

/** What a validator's store is to a miner: a place that takes a PUT. */
class Uploads {
  readonly files = new Map<string, Buffer>()
  /** Answers of the next PUTs; 200 once they are used up. */
  readonly statuses: number[] = []
  readonly #server: Server
  origin = ''

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const status = this.statuses.shift() ?? 200
        if (request.method === 'PUT' && status === 200)
          this.files.set(request.url ?? '', Buffer.concat(chunks))
        response.writeHead(request.method === 'PUT' ? status : 405).end()
      })
    })
  }

  static async start(): Promise<Uploads> {
    const uploads = new Uploads()
    await new Promise<void>((resolve) => uploads.#server.listen(0, '127.0.0.1', resolve))
    uploads.origin = `http://127.0.0.1:${(uploads.#server.address() as AddressInfo).port}`
    return uploads
  }

  close(): Promise<void> {
    this.#server.closeAllConnections()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

const bob = caller('//Bob')
const charlie = caller('//Charlie')
/** Codes and words of subnet 99's miners. */
const brief = ({ status_code, error }: { status_code: number; error: string }) =>
  [status_code, error] as const

describe('a miner with ComfyUI', () => {
  let redis: TestRedis
  let miner: MinerProcess
  let comfy: DevComfy
  let uploads: Uploads
  let target: Target
  let comfyPort = 0
  let dir = ''
  let remove = async () => {}
  let store: WorkflowStore

  const startComfy = async () =>
    DevComfy.start({
      folder: await mkdtemp(join(dir, 'comfy-')),
      port: comfyPort,
      speed: { nodeMs: 150 },
    })

  before(async () => {
    const made = await scratch()
    dir = made.dir
    remove = made.remove
    store = await WorkflowStore.open(SHIPPED_WORKFLOWS)
    comfyPort = await freePort()
    comfy = await startComfy()
    redis = await TestRedis.start()
    uploads = await Uploads.start()
    target = await minerTarget()
    miner = await MinerProcess.start({
      redisUrl: redis.url,
      dir,
      port: target.port,
      flags: [
        ...['--comfyui.servers', `127.0.0.1:${comfyPort}`],
        ...['--miner.tasks', 'compression', '--miner.generate_workflow', 'prompted'],
        ...['--workflows.folder', await promptedWorkflow(dir)],
      ],
    })
  })
  after(async () => {
    await Promise.all([bob.close(), charlie.close()])
    await miner?.end()
    await comfy?.close()
    await uploads?.close()
    await redis?.close()
    await remove()
  })

  const workflow = (seed = 1): Workflow =>
    store.get('no-checkpoint').fill({ seed, width: 96, height: 64 })

  async function send(request: RequestInput<typeof VideoTask>, from = bob) {
    const outcome = await from.call(target, VideoTask, request, { timeoutMs: 30_000 })
    assert.ok(outcome.ok, JSON.stringify(outcome))
    return outcome.response
  }

  /** Asks for a task's status until it has ended; every progress seen on the way. */
  async function follow(task_id: string) {
    const progress: number[] = []
    for (let i = 0; i < 400; i += 1) {
      const outcome = await bob.call(target, TaskStatusCheck, { task_id })
      assert.ok(outcome.ok)
      progress.push(outcome.response.progress)
      const { status, error_message } = outcome.response
      if (status === 'completed' || status === 'failed' || status === 'timeout')
        return { status, progress, error_message }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error('the task did not end')
  }

  it('says that it runs workflows, and for how many it has room', async () => {
    const support = await bob.call(target, ComfySupport, {})
    assert.ok(support.ok && support.response.supports_comfy)
    const capacity = await bob.call(target, MinerCapacity, {})
    assert.ok(capacity.ok && capacity.response.available)
    const { lanes, ...together } = capacity.response
    assert.deepEqual(Object.keys(lanes ?? {}).sort(), ['compression', 'generation'])
    assert.deepEqual(together, lanes?.generation, 'who reads no lanes wants to know of generation')
    assert.equal(together.max_concurrent_tasks, 1)
  })

  it('runs a workflow, uploads a package that plays, and says how it goes', async () => {
    const task_id = randomUUID()
    const upload_url = `${uploads.origin}/${task_id}`
    const answer = await send({ task_id, workflow_params: workflow(), upload_url })
    assert.deepEqual(brief(answer), [200, ''])
    assert.equal(answer.video_url, upload_url)
    assert.match(answer.prompt_id, /^[0-9a-f-]{36}$/)
    const { status, progress } = await follow(task_id)
    assert.equal(status, 'completed')
    assert.deepEqual(
      progress,
      [...progress].sort((a, b) => a - b),
      'progress never falls',
    )
    assert.equal(progress.at(-1), 100)
    const path = join(dir, 'package.zip')
    await writeFile(path, must(uploads.files.get(`/${task_id}`), 'upload'))
    const { files, metadata } = await readPackage(path, await mkdtemp(join(dir, 'unpacked-')))
    assert.deepEqual(
      files.map(({ nodeId, key }) => [nodeId, key]),
      [['6', 'images']],
    )
    assert.match(must(files[0], 'file').filename, /^no-checkpoint_\d+_\.mp4$/)
    const { video } = await probeVideo(must(files[0], 'file').path, { countDecoded: true })
    assert.deepEqual([video.width, video.height, video.frames, video.codec], [96, 64, 24, 'h264'])
    const [facts] = metadata?.files ?? []
    assert.deepEqual(
      [facts?.width, facts?.height, facts?.frames, facts?.fps, facts?.codec],
      [96, 64, 24, 12, 'h264'],
    )
    assert.equal(metadata?.promptId, answer.prompt_id)
  })

  it('uploads the file itself when its name is asked for, trying again when the store falters', async () => {
    const task_id = randomUUID()
    uploads.statuses.push(503)
    const upload_url = `${uploads.origin}/${task_id}`
    const file_name = 'clip.mp4'
    await send({ task_id, file_name, workflow_params: workflow(2), upload_url })
    assert.equal((await follow(task_id)).status, 'completed')
    const path = join(dir, 'single.mp4')
    await writeFile(path, must(uploads.files.get(`/${task_id}`), 'upload'))
    assert.equal((await probeVideo(path)).video.frames, 24)
  })

  it('answers with the codes of subnet 99', async () => {
    const task_id = randomUUID()
    const task = { task_id, workflow_params: workflow(3), upload_url: `${uploads.origin}/x` }
    assert.deepEqual(brief(await send({ ...task, task_id: '' })), [
      400,
      'Missing task_id or workflow_params',
    ])
    assert.deepEqual(brief(await send({ ...task, workflow_params: {} })), [
      400,
      'Missing task_id or workflow_params',
    ])
    assert.deepEqual(brief(await send(task, charlie)), [403, 'Stake below minimum: 100'])
    assert.deepEqual(brief(await send(task)), [200, ''])
    const again = await send(task)
    assert.deepEqual(brief(again), [400, 'Task already exists'])
    assert.match(again.prompt_id, /^[0-9a-f-]{36}$/)
    await follow(task_id)
    assert.deepEqual(brief(await send(task)), [400, 'Task already exists'])
  })

  it('leaves no stuck task behind a submit that failed', async () => {
    const task_id = randomUUID()
    const upload_url = `${uploads.origin}/${task_id}`
    const broken = { ...workflow(4), '6': { class_type: 'NoSuchNode', inputs: {} } }
    const refused = await send({ task_id, workflow_params: broken, upload_url })
    assert.ok([400, 500].includes(refused.status_code), JSON.stringify(refused))
    assert.notEqual(refused.error, '')
    assert.deepEqual(brief(await send({ task_id, workflow_params: workflow(4), upload_url })), [
      200,
      '',
    ])
    assert.equal((await follow(task_id)).status, 'completed')
  })

  it('fails a task whose upload URL refuses, with the code', async () => {
    const task_id = randomUUID()
    uploads.statuses.push(403)
    await send({ task_id, workflow_params: workflow(5), upload_url: `${uploads.origin}/no` })
    const { status, error_message } = await follow(task_id)
    assert.deepEqual([status, error_message], ['failed', 'STORAGE_UPLOAD_FAILED'])
  })

  it('shows a running task to whoever has its credential, and to nobody else', async () => {
    const task_id = randomUUID()
    const upload_url = `${uploads.origin}/${task_id}`
    const answer = await send({ task_id, workflow_params: workflow(6), upload_url })
    assert.deepEqual(brief(answer), [200, ''])
    assert.equal(answer.proxy_comfy_port, target.port + 1)
    assert.equal(answer.proxy_comfy_url.startsWith(`ws://127.0.0.1:${target.port + 1}/`), true)
    assert.ok(answer.proxy_comfy_url.endsWith(answer.proxy_signature))
    const seen: { type: string; data: { prompt_id: string; value?: number } }[] = []
    const socket = new WebSocket(answer.proxy_comfy_url)
    socket.on('message', (data, isBinary) => {
      if (!isBinary) seen.push(JSON.parse(String(data)))
    })
    const code = await new Promise<number>((resolve, reject) => {
      socket.once('close', resolve)
      socket.once('error', reject)
    })
    assert.equal(code, 1000)
    assert.equal(seen.at(-1)?.type, 'execution_success')
    assert.ok(seen.every(({ data }) => data.prompt_id === answer.prompt_id))
    const values = seen.filter(({ type }) => type === 'progress').map(({ data }) => data.value ?? 0)
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    )
    const forged = answer.proxy_comfy_url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))
    const refused = await new Promise<number | undefined>((resolve) => {
      const other = new WebSocket(forged)
      other.once('unexpected-response', (_request, { statusCode }) => resolve(statusCode))
      other.once('error', () => resolve(undefined))
    })
    assert.equal(refused, 403)
    const view = answer.http_view_url
    assert.ok(view.startsWith(`http://127.0.0.1:${target.port + 2}/view/`))
    assert.ok([200, 404].includes((await fetch(view)).status))
    assert.equal((await fetch(view.replace(/\/[^/]+$/, ''))).status, 403)
    assert.equal((await fetch(view.replace(/\/[^/]+$/, '/x'))).status, 403)
  })

  it('makes a video of a prompt, keeps it in its own store and tells the truth about it', async () => {
    const task_id = randomUUID()
    const ask = async () => {
      const outcome = await bob.call(target, VideoGenerationTask, { task_id, prompt: 'a fox' })
      assert.ok(outcome.ok)
      return outcome.response
    }
    assert.equal((await ask()).status, 'pending')
    assert.equal((await follow(task_id)).status, 'completed')
    const { status, s3_video_url, s3_metadata_url } = await ask()
    assert.equal(status, 'completed')
    const path = join(dir, 'prompted.mp4')
    await writeFile(path, Buffer.from(await (await fetch(must(s3_video_url, 'url'))).arrayBuffer()))
    const { video } = await probeVideo(path)
    const metadata = packageMetadataSchema.parse(
      await (await fetch(must(s3_metadata_url, 'metadata'))).json(),
    )
    const [facts] = metadata.files
    assert.deepEqual(
      [facts?.width, facts?.height, facts?.frames],
      [video.width, video.height, video.frames],
    )
  })

  it('says so while no server answers, and works again when one is back', async () => {
    await comfy.close()
    const supported = async () => {
      const outcome = await bob.call(target, ComfySupport, {})
      return outcome.ok && outcome.response.supports_comfy
    }
    const until = async (wanted: boolean) => {
      for (let i = 0; i < 300 && (await supported()) !== wanted; i += 1)
        await new Promise((resolve) => setTimeout(resolve, 100))
      assert.equal(await supported(), wanted)
    }
    await until(false)
    const task_id = randomUUID()
    const task = { task_id, workflow_params: workflow(7), upload_url: `${uploads.origin}/back` }
    const answer = await send(task)
    assert.equal(answer.status_code, 500)
    assert.match(answer.error, /^No available ComfyUI servers/)
    comfy = await startComfy()
    await until(true)
    assert.deepEqual(brief(await send(task)), [200, ''])
    assert.equal((await follow(task_id)).status, 'completed')
  })
})

/** The workflow without a checkpoint, with a node that a prompt can go to. */
async function promptedWorkflow(dir: string): Promise<string> {
  const folder = await mkdtemp(join(dir, 'workflows-'))
  const workflow = JSON.parse(await readFile(join(SHIPPED_WORKFLOWS, 'no-checkpoint.json'), 'utf8'))
  const mapping = JSON.parse(
    await readFile(join(SHIPPED_WORKFLOWS, 'no-checkpoint.mapping.json'), 'utf8'),
  )
  mapping.video_prompt = { node_id: '6', input_name: 'filename_prefix' }
  await writeFile(join(folder, 'prompted.json'), JSON.stringify(workflow))
  await writeFile(join(folder, 'prompted.mapping.json'), JSON.stringify(mapping))
  return folder
}
