import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import sharp from 'sharp'
import { WebSocket } from 'ws'
import { DevComfy, type DevComfyOptions } from '#src/devcomfy/index.js'
import { withResolvers } from '#src/lib/resources.js'
import { Secret } from '#src/lib/secret.js'
import {
  ComfyClient,
  type ComfyClientOptions,
  ComfyError,
  type ComfyErrorData,
  type ComfyProgress,
  parseComfyServers,
  type Workflow,
} from '#src/media/comfyui/index.js'
import { probeVideo } from '#src/media/index.js'
import { comfyProxy } from '../../support/comfy-proxy.js'
import { recordedPrompts, transcript } from '../../support/comfy-replay.js'

const MODELS = [
  'tiny_wan2.1_t2v_random.safetensors',
  'random_clip_l.safetensors',
  'random_wan_2.1_vae.safetensors',
]
const signal = new AbortController().signal
let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comfy-contract-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function open(options: Partial<DevComfyOptions & ComfyClientOptions> = {}) {
  const own = await mkdtemp(join(folder, 'server-'))
  const server = await DevComfy.start({ folder: own, models: MODELS, ...options })
  const client = clientOf(server.address, options)
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client.close()
      await server.close()
    },
  }
}

function clientOf(address: string, options: Partial<ComfyClientOptions> = {}, token = '') {
  const [server] = parseComfyServers([address], [new Secret(token)])
  assert.ok(server)
  return new ComfyClient({ pollMs: 100, graceMs: 1000, ...options, server })
}

const noCheckpoint: Workflow = JSON.parse(
  await readFile(new URL('../../../../workflows/no-checkpoint.json', import.meta.url), 'utf8'),
)

/** One small picture. Another number is another prompt, so that nothing comes from the cache. */
function picture(color: number): Workflow {
  return {
    1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
    2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'p' } },
  }
}

function wan(): Workflow {
  const [workflow] = recordedPrompts('wan21_success')
  assert.ok(workflow)
  return workflow
}

async function failure(run: Promise<unknown>): Promise<ComfyErrorData> {
  const error: unknown = await run.then(
    () => assert.fail('the run succeeded'),
    (reason) => reason,
  )
  assert.ok(error instanceof ComfyError, String(error))
  return error.data
}

async function json(address: string, path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`http://${address}${path}`)
  return (await response.json()) as Record<string, unknown>
}

async function post(address: string, path: string, body: unknown): Promise<Response> {
  return fetch(`http://${address}${path}`, { method: 'POST', body: JSON.stringify(body) })
}

describe('ComfyUI client against a server that renders', () => {
  it('renders the workflow without checkpoint into the clip that it describes', async () => {
    await using t = await open()
    const run = await t.client.run(noCheckpoint, { signal })
    const [output] = run.outputs
    assert.ok(output)
    const path = join(folder, 'clip.mp4')
    await t.client.download(run, output, path, { maxBytes: 10_000_000, signal })
    const { video } = await probeVideo(path)
    assert.deepEqual([video.codec, video.width, video.height, video.frames], ['h264', 480, 272, 24])
    assert.deepEqual(video.fps, { num: 12, den: 1 })
    const again = await t.client.run(noCheckpoint, { signal })
    assert.equal(again.cached, true)
    assert.deepEqual(again.outputs, run.outputs)
  })

  it('leaves nothing of a download that is too large', async () => {
    await using t = await open()
    const run = await t.client.run(picture(1), { signal })
    const [output] = run.outputs
    assert.ok(output)
    const path = join(folder, 'large.png')
    const data = await failure(t.client.download(run, output, path, { maxBytes: 10, signal }))
    assert.equal(data.code, 'COMFY_TOO_LARGE')
    await assert.rejects(readFile(path), /ENOENT/)
  })

  it('uploads what a workflow reads to the server that runs it', async () => {
    await using t = await open()
    const path = join(folder, 'in.png')
    await sharp({ create: { width: 40, height: 20, channels: 3, background: '#ff0000' } })
      .png()
      .toFile(path)
    for (const name of ['given.png', 'jobs/2f8a/given.png']) {
      const workflow: Workflow = {
        1: { class_type: 'LoadImage', inputs: { image: name } },
        2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'p' } },
      }
      const absent = await failure(t.client.run(workflow, { signal }))
      assert.equal(absent.code, 'COMFY_PROMPT_REFUSED', name)
      const run = await t.client.run(workflow, { signal, inputs: [{ name, path }] })
      const result = join(folder, name.replaceAll('/', '-'))
      const output = run.outputs[0] ?? assert.fail(name)
      await t.client.download(run, output, result, { maxBytes: 1e6, signal })
      const { dominant } = await sharp(result).stats()
      assert.ok(dominant.r > 240 && dominant.g < 16, JSON.stringify(dominant))
    }
  })

  it('loses its socket again and again, and runs nothing twice', async () => {
    await using t = await open({ speed: { stepMs: 60 } })
    const progress: ComfyProgress[] = []
    const run = await t.client.run(wan(), {
      signal,
      onProgress: (p) => {
        progress.push(p)
        if (progress.length < 6) t.server.dropSockets()
      },
    })
    assert.deepEqual(t.server.ended, [run.promptId])
    assert.equal(run.outputs.length, 1)
    assert.equal(progress.at(-1)?.fraction, 1)
  })

  it('finds the prompt whose acceptance was lost on the way', async () => {
    await using t = await open({ speed: { nodeMs: 50 } })
    let lost = 0
    await using proxy = await comfyProxy(t.server.address, (path) => {
      if (path !== '/prompt' || lost > 0) return 'pass'
      lost += 1
      return 'lose'
    })
    const client = clientOf(proxy.address)
    const run = await client.run(picture(2), { signal })
    assert.equal(lost, 1)
    assert.deepEqual(t.server.ended, [run.promptId])
    await client.close()
  })

  it('runs a prompt through a proxy that passes no sockets, and knows when it was lost', async () => {
    await using t = await open({ speed: { nodeMs: 100 } })
    await using proxy = await comfyProxy(t.server.address, (path) =>
      path.startsWith('/ws') ? 400 : 'pass',
    )
    const client = clientOf(proxy.address)
    const progress: number[] = []
    const onProgress = ({ fraction }: ComfyProgress) => progress.push(fraction)
    const run = await client.run(picture(22), { signal, onProgress })
    assert.equal(run.outputs.length, 1)
    assert.deepEqual(progress, [1])
    const lost = client.run(picture(23), { signal, onSubmitted: () => t.server.restart() })
    assert.equal((await failure(lost)).code, 'COMFY_PROMPT_LOST')
    await client.close()
  })

  it('says that a prompt is lost when its server was restarted', async () => {
    await using t = await open({ speed: { nodeMs: 300 } })
    const run = t.client.run(picture(3), { signal, onSubmitted: () => t.server.restart() })
    const data = await failure(run)
    assert.equal(data.code, 'COMFY_PROMPT_LOST')
  })

  it('gives up on a server that does not come back', async () => {
    await using t = await open({ speed: { nodeMs: 5000 } })
    const run = t.client.run(picture(4), { signal, onSubmitted: () => void t.server.close() })
    assert.equal((await failure(run)).code, 'COMFY_UNREACHABLE')
    assert.equal((await failure(t.client.run(picture(4), { signal }))).code, 'COMFY_UNREACHABLE')
    assert.equal((await failure(t.client.ready(signal))).code, 'COMFY_UNREACHABLE')
  })

  it('keeps the result when a user clears the history at once', async () => {
    await using t = await open({ speed: { nodeMs: 50 } })
    const sweeper = new WebSocket(`ws://${t.server.address}/ws?clientId=other`)
    sweeper.on('message', (data) => {
      const idle = data.toString().includes('"queue_remaining":0')
      if (idle) void post(t.server.address, '/history', { clear: true })
    })
    await new Promise((resolve) => sweeper.once('open', resolve))
    const run = await t.client.run(picture(5), { signal })
    assert.equal(run.outputs.length, 1)
    sweeper.terminate()
  })

  it('says that a prompt was taken away when a user removes or interrupts it', async () => {
    await using t = await open({ speed: { nodeMs: 1000 } })
    const running = withResolvers<string>()
    const first = t.client.run(picture(6), { signal, onSubmitted: running.resolve })
    const firstId = await running.promise
    const second = t.client.run(picture(7), {
      signal,
      onSubmitted: (id) => void post(t.server.address, '/queue', { delete: [id] }),
    })
    assert.equal((await failure(second)).code, 'COMFY_INTERRUPTED')
    await post(t.server.address, '/interrupt', { prompt_id: firstId })
    assert.equal((await failure(first)).code, 'COMFY_INTERRUPTED')
  })

  it('cancels its own prompt, waiting or running, and leaves those of others alone', async () => {
    await using t = await open({ speed: { nodeMs: 400 } })
    const foreign = (await (
      await post(t.server.address, '/prompt', { prompt: picture(8) })
    ).json()) as {
      prompt_id: string
    }
    const own = new AbortController()
    const waiting = t.client.run(picture(9), {
      signal: own.signal,
      onSubmitted: () => own.abort(new Error('changed my mind')),
    })
    await assert.rejects(waiting, /changed my mind/)
    const started = new AbortController()
    const running = t.client.run(picture(10), {
      signal: started.signal,
      onProgress: () => started.abort(new Error('enough')),
    })
    await assert.rejects(running, /enough/)
    assert.equal(t.server.ended[0], foreign.prompt_id)
    const history = await json(t.server.address, `/history/${foreign.prompt_id}`)
    assert.match(JSON.stringify(history), /"status_str":"success"/)
    const queue = await json(t.server.address, '/queue')
    assert.deepEqual(queue['queue_pending'], [])
  })

  it('gives up on a prompt that takes too long, and cancels it', async () => {
    await using t = await open({ speed: { nodeMs: 3000 }, runTimeoutMs: 300 })
    const data = await failure(t.client.run(picture(11), { signal }))
    assert.equal(data.code, 'COMFY_RUN_TIMEOUT')
    const run = await clientOf(t.server.address).api.queue(signal)
    assert.deepEqual(run.pending, [])
  })

  it('tells want of memory from other failures', async () => {
    await using t = await open()
    t.server.failForMemory(1)
    const data = await failure(t.client.run(picture(12), { signal }))
    assert.equal(data.code, 'COMFY_OUT_OF_MEMORY')
    assert.equal(data.code === 'COMFY_OUT_OF_MEMORY' && data.classType, 'SaveImage')
    await t.client.run(picture(12), { signal })
    await using small = await open({ vramBytes: 1024 })
    assert.equal(
      (await failure(small.client.run(picture(13), { signal }))).code,
      'COMFY_OUT_OF_MEMORY',
    )
  })

  it('needs the token that a server wants', async () => {
    await using t = await open({ token: 'secret-token' })
    for (const wrong of [clientOf(t.server.address), clientOf(t.server.address, {}, 'guess')]) {
      assert.equal((await failure(wrong.ready(signal))).code, 'COMFY_UNAUTHORIZED')
      assert.equal((await failure(wrong.run(picture(1), { signal }))).code, 'COMFY_UNAUTHORIZED')
    }
    const right = clientOf(t.server.address, {}, 'secret-token')
    await right.run(picture(1), { signal })
    await right.close()
  })

  it('takes its token nowhere else, even when sent there', async () => {
    const seen: IncomingMessage[] = []
    const other = createServer((request, response) => {
      seen.push(request)
      response.end('{}')
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const target = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const server = createServer((request, response) => {
      response.writeHead(302, { location: `${target}${request.url}` }).end()
    })
    server.on('upgrade', (request, socket) => {
      socket.end(`HTTP/1.1 302 Found\r\nlocation: ${target}${request.url}\r\n\r\n`)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = clientOf(
      `127.0.0.1:${(server.address() as AddressInfo).port}`,
      {},
      'secret-token',
    )
    assert.equal((await failure(client.ready(signal))).code, 'COMFY_STATUS')
    assert.equal((await failure(client.run(picture(1), { signal }))).code, 'COMFY_STATUS')
    assert.equal(seen.length, 0)
    other.close()
    server.close()
  })

  it('is not deceived by a server that is no ComfyUI', async () => {
    const server = createServer((_, response) => response.end('<html>'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = clientOf(`127.0.0.1:${(server.address() as AddressInfo).port}`)
    assert.equal((await failure(client.ready(signal))).code, 'COMFY_REPLY_BAD')
    server.closeAllConnections()
    server.close()
  })
})

describe('the stand-in against the transcripts of a real ComfyUI', () => {
  it('refuses the same prompts at the same nodes for the same reasons', async () => {
    await using t = await open()
    await writeFile(join(folder, 'x'), '')
    const recorded = transcript('validation_errors').filter(
      (event) => event.path === '/prompt' && event.status === 400,
    )
    assert.ok(recorded.length >= 7)
    const reasons = (reply: unknown) => {
      const { error, node_errors } = reply as {
        error: { type: string; message: string }
        node_errors: Record<
          string,
          { class_type: string; errors: { type: string }[]; dependent_outputs: string[] }
        >
      }
      const nodes = Object.entries(node_errors).map(([id, node]) => [
        id,
        node.class_type,
        node.errors.map((e) => e.type).sort(),
        node.dependent_outputs,
      ])
      return [error.type, error.message, nodes.sort()]
    }
    for (const event of recorded) {
      const response = await post(t.server.address, '/prompt', event.request ?? {})
      assert.equal(response.status, 400)
      // The real one names the node before the bad link, ours the one that holds it.
      const expected = JSON.parse(JSON.stringify(reasons(event.response)))
      assert.deepEqual(JSON.parse(JSON.stringify(reasons(await response.json()))), expected)
    }
    assert.equal(
      (await fetch(`http://${t.server.address}/prompt`, { method: 'POST', body: '{' })).status,
      500,
    )
  })

  it('says the same things in the same order, and names the same files', async () => {
    const [workflow] = recordedPrompts('nomodel_video_success')
    assert.ok(workflow)
    await using t = await open()
    const png = join(folder, 'vec.png')
    await sharp({ create: { width: 120, height: 80, channels: 3, background: '#808040' } })
      .png()
      .toFile(png)
    await t.client.api.upload('vec_in.png', png, signal)
    const frames: { type: string; data: Record<string, unknown> }[] = []
    const socket = new WebSocket(`ws://${t.server.address}/ws?clientId=me`)
    const ended = withResolvers<void>()
    socket.on('message', (data) => {
      const frame = JSON.parse(data.toString())
      frames.push(frame)
      if (frame.type === 'executing' && frame.data.node === null) ended.resolve()
    })
    await new Promise((resolve) => socket.once('open', resolve))
    await post(t.server.address, '/prompt', { prompt: workflow, client_id: 'me' })
    await ended.promise
    socket.terminate()
    const recorded = transcript('nomodel_video_success').flatMap((event) =>
      event.kind === 'ws' && event.data !== undefined ? [event.data] : [],
    )
    assert.deepEqual(shape(frames), shape(recorded))
    const keys = (all: typeof frames) => {
      const byType = new Map(all.map((f) => [f.type, Object.keys(f.data).sort().join()]))
      return [...byType].filter(([type]) => type !== 'progress_state').sort()
    }
    assert.deepEqual(keys(frames), keys(recorded))
  })
})

/** What stays when the order in which nodes ran is left out, which is the server's own choice. */
function shape(frames: readonly { type: string; data: Record<string, unknown> }[]) {
  const node = (frame: { data: Record<string, unknown> }) => String(frame.data['node'])
  const without = frames.filter((frame) => frame.type !== 'progress_state')
  const first = without.findIndex((frame) => frame.type === 'executing')
  const last = without.findLastIndex((frame) => frame.type === 'executed')
  const executed = frames.filter((frame) => frame.type === 'executed')
  return {
    begins: without.slice(0, first).map((frame) => frame.type),
    ends: without.slice(last + 1).map((frame) => `${frame.type} ${node(frame)}`),
    ran: without
      .slice(first, last + 1)
      .map((frame) => `${frame.type} ${node(frame)}`)
      .sort(),
    files: executed
      .map((frame) => {
        const { images, animated } = frame.data['output'] as { images: object[]; animated: unknown }
        return JSON.stringify([node(frame), images, animated]).replaceAll(/nomodel_\d+/g, 'nomodel')
      })
      .sort(),
  }
}
