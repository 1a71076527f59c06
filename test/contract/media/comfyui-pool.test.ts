import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { DevComfy, type DevComfyOptions } from '#src/devcomfy/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { withResolvers } from '#src/lib/resources.js'
import { Secret } from '#src/lib/secret.js'
import {
  ComfyError,
  ComfyPool,
  type ComfyPoolOptions,
  parseComfyServers,
  type Workflow,
  WorkflowError,
  WorkflowFirewall,
} from '#src/media/comfyui/index.js'
import { SHIPPED_WORKFLOWS } from '#src/workflows/index.js'
import { comfyProxy } from '../../support/comfy-proxy.js'
import { recordedPrompts } from '../../support/comfy-replay.js'
import { freePort } from '../../support/ports.js'

const MODELS = [
  'tiny_wan2.1_t2v_random.safetensors',
  'random_clip_l.safetensors',
  'random_wan_2.1_vae.safetensors',
]
const signal = new AbortController().signal
const clock = new SystemClock()
let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comfy-pool-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function devcomfy(options: Partial<DevComfyOptions> = {}): Promise<DevComfy> {
  return DevComfy.start({
    folder: await mkdtemp(join(folder, 'server-')),
    models: MODELS,
    ...options,
  })
}

async function open(
  servers: readonly (DevComfy | string)[],
  options: Partial<ComfyPoolOptions> & { tokens?: readonly string[] } = {},
) {
  const addresses = servers.map((server) => (typeof server === 'string' ? server : server.address))
  const tokens = (options.tokens ?? []).map((token) => new Secret(token))
  const pool = new ComfyPool(
    {
      pollMs: 200,
      graceMs: 500,
      healthMs: 100,
      noServerMs: 1000,
      ...options,
      servers: parseComfyServers(addresses, tokens),
    },
    { firewall: new WorkflowFirewall({ models: MODELS }) },
  )
  return {
    pool,
    async [Symbol.asyncDispose]() {
      await pool.close()
      for (const server of servers) if (typeof server !== 'string') await server.close()
    },
  }
}

function picture(color: number): Workflow {
  return {
    1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color } },
    2: { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'p' } },
  }
}

/** The recorded WAN workflow, but its frames are saved as pictures: no encoder is needed here. */
function wan(inputs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {}): Workflow {
  const [recorded] = recordedPrompts('wan21_success') as readonly (Workflow | undefined)[]
  const { 49: _, ...workflow } = recorded ?? assert.fail()
  const save = { class_type: 'SaveImage', inputs: { images: ['8', 0], filename_prefix: 'p' } }
  return Object.fromEntries(
    Object.entries({ ...workflow, 50: save }).map(([id, node]) => [
      id,
      { ...node, inputs: { ...node.inputs, ...inputs[id] } },
    ]),
  )
}

/** The workflow small, with the model files of another server. */
function renamed(workflow: Workflow, names: readonly string[]): Workflow {
  const models = [...names]
  return Object.fromEntries(
    Object.entries(workflow).map(([id, node]) => {
      const inputs = Object.entries(node.inputs).map(([name, value]) => {
        if (/^(unet|clip|vae)_name$/.test(name)) return [name, models.shift()]
        return [name, name === 'width' || name === 'height' ? 64 : value]
      })
      return [id, { ...node, inputs: Object.fromEntries(inputs) }]
    }),
  )
}

async function failure(run: Promise<unknown>): Promise<ComfyError> {
  const error: unknown = await run.then(
    () => assert.fail('the run succeeded'),
    (reason) => reason,
  )
  assert.ok(error instanceof ComfyError, String(error))
  return error
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i += 1) {
    assert.ok(i < 600, what)
    await clock.sleep(50)
  }
}

const states = (pool: ComfyPool) => pool.servers.map((server) => server.state)

describe('a pool of ComfyUI servers', () => {
  it('lets no server see a workflow that the firewall refuses', async () => {
    const server = await devcomfy()
    await using t = await open([server])
    const hostile: Workflow = { 1: { class_type: 'ExecuteShell', inputs: { code: 'id' } } }
    await assert.rejects(t.pool.run(hostile, { signal }), (e) => e instanceof WorkflowError)
    assert.equal(server.requests, 0)
  })

  it('uses the servers that live, drops one that dies and takes it back', async () => {
    const port = await freePort()
    const first = await devcomfy()
    const second = await devcomfy({ port })
    await using t = await open([first, second, `127.0.0.1:${await freePort()}`])
    await t.pool.ready(signal)
    await until('two up', () => states(t.pool).join() === 'up,up,down')
    await second.close()
    await until('one up', () => states(t.pool).join() === 'up,down,down')
    const runs = await Promise.all([1, 2, 3].map((color) => t.pool.run(picture(color), { signal })))
    assert.deepEqual([...new Set(runs.map((run) => run.server))], [first.address])
    const back = await devcomfy({ port })
    await until('two up again', () => states(t.pool).join() === 'up,up,down')
    await first.close()
    const run = await t.pool.run(picture(4), { signal })
    assert.equal(run.server, back.address)
    const path = join(folder, 'from-the-right-server.png')
    await t.pool.download(run, run.outputs[0] ?? assert.fail(), path, { maxBytes: 1e6, signal })
    await back.close()
  })

  it('says that no server can be reached, at once when asked and soon for a workflow', async () => {
    await using t = await open([`127.0.0.1:${await freePort()}`], { noServerMs: 200 })
    assert.equal((await failure(t.pool.ready(signal))).code, 'COMFY_NO_SERVER')
    const error = await failure(t.pool.run(picture(1), { signal }))
    assert.equal(error.code, 'COMFY_NO_SERVER')
    assert.ok(error.retryable)
  })

  it('moves a job when its server dies in mid-prompt', async () => {
    const [first, second] = [
      await devcomfy({ speed: { nodeMs: 20_000 } }),
      await devcomfy({ speed: { nodeMs: 20 } }),
    ]
    await using t = await open([first, second])
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    const submitted: string[] = []
    const jobs = [1, 2].map((color) =>
      t.pool.run(picture(color), {
        signal,
        onSubmitted: (_, server) => {
          submitted.push(server)
          if (server === first.address) setImmediate(() => void first.close())
        },
      }),
    )
    const runs = await Promise.all(jobs)
    assert.deepEqual(
      runs.map((run) => run.server),
      [second.address, second.address],
    )
    assert.ok(submitted.includes(first.address), 'one was on the server that died')
    assert.equal(second.ended.length, 2)
  })

  it('lets a job that had to move go before those that came after it', async () => {
    const [doomed, other] = [
      await devcomfy({ speed: { nodeMs: 20_000 } }),
      await devcomfy({ speed: { nodeMs: 700 } }),
    ]
    await using t = await open([doomed, other])
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    const done: number[] = []
    let moved: number | undefined
    const jobs = [0, 1, 2, 3, 4, 5].map(async (color) => {
      const onSubmitted = (_: string, server: string) => {
        if (server !== doomed.address || moved !== undefined) return
        moved = color
        setImmediate(() => void doomed.close())
      }
      await t.pool.run(picture(color), { signal, onSubmitted })
      done.push(color)
    })
    await Promise.all(jobs)
    assert.ok(moved !== undefined && moved < 2, `job ${moved} was on the server that died`)
    assert.ok(done.indexOf(moved) < done.indexOf(5), `done in the order ${done.join(' ')}`)
  })

  it('cancels what a server still runs when its job went elsewhere meanwhile', async () => {
    const port = await freePort()
    const slow = await devcomfy({ port, speed: { nodeMs: 1500 } })
    const other = await devcomfy({ speed: { nodeMs: 10 } })
    await using proxy = await switchable(slow.address)
    await using t = await open([proxy.address, other])
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    const jobs = [1, 2].map((color) =>
      t.pool.run(picture(color), {
        signal,
        onSubmitted: (_, server) => {
          if (server === proxy.address) proxy.cut()
        },
      }),
    )
    const runs = await Promise.all(jobs)
    assert.ok(runs.every((run) => run.server === other.address))
    assert.equal(slow.remaining, 1, 'it still runs for nobody')
    proxy.mend()
    await until('cancelled', () => slow.remaining === 0)
    assert.equal(slow.succeeded, 0)
    await slow.close()
  })

  it('cancels a prompt of which it never heard that it was taken', async () => {
    const slow = await devcomfy({ speed: { nodeMs: 60_000 } })
    const other = await devcomfy()
    let cut = false
    await using proxy = await comfyProxy(slow.address, (path) => {
      cut ||= path === '/prompt'
      return cut ? 'lose' : 'pass'
    })
    await using t = await open([proxy.address, other])
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    const runs = await Promise.all([1, 2].map((color) => t.pool.run(picture(color), { signal })))
    assert.ok(runs.every((run) => run.server === other.address))
    assert.equal(slow.remaining, 1, 'it runs for nobody')
    cut = false
    await until('cancelled', () => slow.remaining === 0)
    await slow.close()
  })

  it('names what is missing, and passes by servers that lack it', async () => {
    const [bare, full] = [await devcomfy({ models: [] }), await devcomfy()]
    await using t = await open([bare, full])
    for (const seed of [1, 2]) {
      const run = await t.pool.run(wan({ 3: { seed } }), { signal })
      assert.equal(run.server, full.address)
    }
    await using alone = await open([await devcomfy({ models: MODELS.slice(1) })])
    const { data } = await failure(alone.pool.run(wan(), { signal }))
    assert.equal(data.code, 'COMFY_MISSING')
    if (data.code !== 'COMFY_MISSING') return
    assert.deepEqual(data.models, [
      { nodeId: '37', classType: 'UNETLoader', input: 'unet_name', name: MODELS[0] },
    ])
  })

  it('frees memory that ran out and takes another server', async () => {
    const [small, large] = [await devcomfy({ vramBytes: 100_000 }), await devcomfy()]
    await using t = await open([small, large])
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    const runs = await Promise.all(
      [1, 2, 3].map((seed) => t.pool.run(wan({ 3: { seed } }), { signal })),
    )
    assert.ok(runs.every((run) => run.server === large.address))
    assert.ok(small.frees >= 1)
    assert.ok(runs.every((run) => run.reduced === undefined))
  })

  it('tries with an empty memory, then with less, where there is no other server', async () => {
    const server = await devcomfy()
    await using t = await open([server])
    server.failForMemory(1)
    const freed = await t.pool.run(wan(), { signal })
    assert.equal(freed.reduced, undefined)
    assert.equal(server.frees, 1)
    server.failForMemory(2)
    const tiled = await t.pool.run(wan({ 3: { seed: 1 } }), { signal })
    assert.equal(tiled.reduced, 'tiles')
    server.failForMemory(4)
    const halved = await t.pool.run(wan({ 3: { seed: 2 }, 40: { batch_size: 2 } }), { signal })
    assert.equal(halved.reduced, 'batch')
    server.failForMemory(100)
    const error = await failure(t.pool.run(wan({ 3: { seed: 3 } }), { signal }))
    assert.equal(error.code, 'COMFY_OUT_OF_MEMORY')
  })

  it('has models loaded before the first task, also on a server that came back', async () => {
    const port = await freePort()
    const speed = { loadMs: 20 }
    const server = await devcomfy({ port, speed })
    await using t = await open([server], { warmUps: [{ workflow: wan() }] })
    await t.pool.ready(signal)
    assert.equal(server.loads, 3)
    await t.pool.run(wan({ 3: { seed: 1 } }), { signal })
    assert.equal(server.loads, 3, 'the first task loaded nothing')
    await server.close()
    await until('down', () => states(t.pool)[0] === 'down')
    const back = await devcomfy({ port, speed })
    await until('up', () => states(t.pool)[0] === 'up')
    assert.equal(back.loads, 3)
    await t.pool.run(wan({ 3: { seed: 2 } }), { signal })
    assert.equal(back.loads, 3)
    await back.close()
  })

  it('warms up workflows that begin with a file, though no task has brought one', async () => {
    const names = ['unet', 'clip', 'vae', 'vision'].map((name) => `${name}.safetensors`)
    const server = await devcomfy({ models: names })
    const files: readonly Workflow[] = ['480p', '720p'].map((size) =>
      JSON.parse(readFileSync(join(SHIPPED_WORKFLOWS, `wan21-i2v-${size}.json`), 'utf8')),
    )
    const warmUps = files.map((workflow) => ({ workflow: renamed(workflow, names) }))
    await using t = await open([server], { warmUps })
    await t.pool.ready(signal)
    assert.equal(server.succeeded, 2)
    assert.equal(server.loads, 4)
  })

  it('waits for a warm-up no longer than its caller', async () => {
    const server = await devcomfy({ speed: { loadMs: 60_000 } })
    await using t = await open([server], { warmUps: [{ workflow: wan() }] })
    const impatient = new AbortController()
    const ready = t.pool.ready(impatient.signal)
    await until('warming', () => states(t.pool)[0] === 'warming')
    impatient.abort(new Error('too long'))
    await assert.rejects(ready, /too long/)
  })

  it('gives work to a server whose warm-up hangs, once its time is over', async () => {
    const server = await devcomfy({ speed: { loadMs: 600_000 } })
    await using t = await open([server], {
      warmUps: [{ workflow: wan() }],
      warmUpTimeoutMs: 1_500,
      noServerMs: 60_000,
    })
    const began = clock.monotonic()
    const waiting = t.pool.run(picture(1), { signal })
    await until('warming', () => states(t.pool)[0] === 'warming')
    const run = await waiting
    assert.ok(clock.monotonic() - began >= 1_500, 'it waited for the warm-up')
    assert.ok(run.durationMs < 1_500, `the warm-up is no time of the task: ${run.durationMs} ms`)
    assert.equal(states(t.pool)[0], 'up')
    assert.equal(server.remaining, 0, 'what hung was cancelled')
  })

  it('makes a server ready that could not be asked what it has at first', async () => {
    const server = await devcomfy()
    let asked = 0
    await using proxy = await comfyProxy(server.address, (path) => {
      asked += path === '/object_info' ? 1 : 0
      return path === '/object_info' && asked === 1 ? 500 : 'pass'
    })
    await using t = await open([proxy.address], { warmUps: [{ workflow: wan() }] })
    await t.pool.ready(signal).catch(() => undefined)
    await until('up', () => states(t.pool)[0] === 'up')
    assert.equal(server.succeeded, 1, 'it was warmed up')
    await server.close()
  })

  it('lets a job go at once while a server does not say what it has', async () => {
    const server = createHttpServer((request, response) => {
      const answers: Readonly<Record<string, object>> = {
        '/system_stats': { system: {}, devices: [] },
        '/queue': { queue_running: [], queue_pending: [] },
      }
      const answer = answers[request.url ?? '']
      if (answer !== undefined) response.end(JSON.stringify(answer))
      else asked.resolve(undefined)
    })
    const asked = withResolvers<undefined>()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    await using t = await open([`127.0.0.1:${(server.address() as AddressInfo).port}`])
    const own = new AbortController()
    const run = t.pool.run(picture(1), { signal: own.signal })
    await asked.promise
    own.abort(new Error('no longer'))
    await assert.rejects(run, /no longer/)
    server.closeAllConnections()
    server.close()
  })

  it('does not try elsewhere what fails because of the workflow', async () => {
    const [a, b] = [await devcomfy(), await devcomfy()]
    await using t = await open([a, b])
    await t.pool.ready(signal)
    const workflow: Workflow = {
      1: { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 2, color: 7 } },
      2: {
        class_type: 'SaveWEBM',
        inputs: { images: ['1', 0], filename_prefix: 'p', codec: 'h265', fps: 8, crf: 30 },
      },
    }
    const error = await failure(t.pool.run(workflow, { signal }))
    assert.equal(error.code, 'COMFY_NODE_FAILED')
    assert.equal(a.ended.length + b.ended.length, 1)
  })

  it('sends each server its own token', async () => {
    const [a, b] = [
      await devcomfy({ token: 'token-of-a' }),
      await devcomfy({ token: 'token-of-b' }),
    ]
    await using t = await open([a, b], { tokens: ['token-of-a', 'token-of-b'] })
    await t.pool.ready(signal)
    await until('both up', () => states(t.pool).join() === 'up,up')
    await using wrong = await open([a, b], { tokens: ['', 'token-of-a'] })
    assert.equal((await failure(wrong.pool.ready(signal))).code, 'COMFY_NO_SERVER')
  })

  it('lets a waiting job go when its caller does, and all when it is closed', async () => {
    const server = await devcomfy({ speed: { nodeMs: 200 } })
    await using t = await open([server])
    await t.pool.ready(signal)
    const first = t.pool.run(picture(1), { signal })
    const own = new AbortController()
    const second = t.pool.run(picture(2), { signal: own.signal })
    own.abort(new Error('no longer'))
    await assert.rejects(second, /no longer/)
    assert.equal(t.pool.waiting, 0)
    await first
    assert.equal(server.ended.length, 1)
    const running = t.pool.run(picture(3), { signal })
    const waiting = t.pool.run(picture(4), { signal })
    const ends = Promise.allSettled([running, waiting])
    await until('one waits', () => t.pool.waiting === 1)
    await t.pool.close()
    await assert.rejects(waiting, { name: 'AbortError' })
    await ends
  })
})

/** A way to a server that can be cut and mended. */
async function switchable(target: string) {
  const [host, port] = target.split(':')
  const open = new Set<Socket>()
  let whole = true
  const server = createServer((near) => {
    if (!whole) {
      near.destroy()
      return
    }
    const far = connect(Number(port), host)
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        open.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const cut = () => {
    whole = false
    for (const socket of open) socket.destroy()
  }
  return {
    address: `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    cut,
    mend() {
      whole = true
    },
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
    },
  }
}
