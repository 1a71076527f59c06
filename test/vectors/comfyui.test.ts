// Transcripts of a real ComfyUI 0.3.64, in test/fixtures/comfyui; its README lists what a client must get right.
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { withResolvers } from '#src/lib/resources.js'
import { Secret } from '#src/lib/secret.js'
import {
  ComfyClient,
  ComfyError,
  type ComfyErrorData,
  type ComfyPreview,
  type ComfyProgress,
  type ComfyRun,
  parseComfyServers,
  type Workflow,
} from '#src/media/comfyui/index.js'
import { ComfyReplay, recordedPrompts } from '../support/comfy-replay.js'

const signal = new AbortController().signal
let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comfy-vectors-'))
})
after(() => rm(folder, { recursive: true, force: true }))

function clientOf(replay: ComfyReplay, token?: string): ComfyClient {
  const tokens = token === undefined ? [] : [new Secret(token)]
  const [server] = parseComfyServers([replay.address], tokens)
  assert.ok(server)
  return new ComfyClient({ server, pollMs: 100, graceMs: 2000 })
}

async function play(name: string) {
  const replay = await ComfyReplay.start(name)
  const client = clientOf(replay)
  const progress: ComfyProgress[] = []
  const previews: ComfyPreview[] = []
  return {
    replay,
    client,
    progress,
    previews,
    run: (workflow: Workflow, own: AbortSignal = signal, onSubmitted?: () => void) =>
      client.run(workflow, {
        signal: own,
        onProgress: (p) => progress.push(p),
        onPreview: (p) => previews.push(p),
        ...(onSubmitted === undefined ? {} : { onSubmitted }),
      }),
    async [Symbol.asyncDispose]() {
      await client.close()
      await replay[Symbol.asyncDispose]()
    },
  }
}

function only(name: string): Workflow {
  const [workflow] = recordedPrompts(name)
  assert.ok(workflow, name)
  return workflow
}

async function failure(run: Promise<ComfyRun>): Promise<ComfyErrorData & { message: string }> {
  const error: unknown = await run.then(
    () => assert.fail('the run succeeded'),
    (reason) => reason,
  )
  assert.ok(error instanceof ComfyError, String(error))
  return { ...error.data, message: error.message }
}

const names = (run: ComfyRun) => run.outputs.map((o) => `${o.nodeId}:${o.subfolder}/${o.filename}`)

describe('ComfyUI transcripts', () => {
  it('wan21_success: gives the video, rising progress and a preview per step', async () => {
    await using t = await play('wan21_success')
    const run = await t.run(only('wan21_success'))
    assert.deepEqual(names(run), ['50:vec/wan_00001_.mp4'])
    assert.equal(run.cached, false)
    assert.deepEqual(run.refused, [])
    const fractions = t.progress.map((p) => p.fraction)
    assert.ok(fractions.length >= 8, `${fractions.length} reports`)
    assert.deepEqual(
      fractions,
      fractions.toSorted((a, b) => a - b),
    )
    assert.equal(fractions.at(-1), 1)
    assert.ok(fractions.filter((f) => f === 1).length === 1, '1 only at the end')
    assert.ok(t.progress.filter((p) => p.nodeId === '3').length >= 3, 'the sampler is named')
    assert.equal(t.previews.length, 4)
    for (const { mime, bytes } of t.previews) {
      assert.equal(mime, 'image/jpeg')
      assert.equal(bytes.readUInt16BE(0), 0xffd8, 'starts as a JPEG does')
    }
    const path = join(folder, 'wan.mp4')
    await t.client.download(run, run.outputs[0] ?? assert.fail(), path, { maxBytes: 1e6, signal })
    assert.equal((await readFile(path)).length, 14_518)
  })

  it('wan21_success_previews: reads previews that carry metadata', async () => {
    await using t = await play('wan21_success_previews')
    await t.run(only('wan21_success_previews'))
    assert.equal(t.previews.length, 4)
    for (const { mime, bytes, nodeId } of t.previews) {
      assert.deepEqual([mime, nodeId], ['image/jpeg', '3'])
      assert.equal(bytes.readUInt16BE(0), 0xffd8, 'the image begins after the metadata')
    }
  })

  it('nomodel_video_success: finds files of every sort of output, in the order of the nodes', async () => {
    await using t = await play('nomodel_video_success')
    const run = await t.run(only('nomodel_video_success'))
    assert.equal(run.outputs.length, 15)
    assert.deepEqual(names(run).slice(0, 4), [
      '8:vec/nomodel_00003_.mp4',
      '9:vec/nomodel_00002_.webm',
      '10:vec/nomodel_00001_.webp',
      '11:vec/frame_00001_.png',
    ])
    assert.equal(t.replay.count('POST', '/prompt'), 1)
  })

  it('nomodel_video_cached: a run without any work ends well, with the old files', async () => {
    await using t = await play('nomodel_video_cached')
    const run = await t.run(only('nomodel_video_cached'))
    assert.equal(run.cached, true)
    assert.equal(run.outputs.length, 15)
    assert.equal(names(run)[0], '8:vec/nomodel_00003_.mp4')
  })

  it('validation_errors: each refusal names its nodes, and a bad body is the server’s own failure', async () => {
    await using t = await play('validation_errors')
    const found: string[] = []
    for (const workflow of recordedPrompts('validation_errors')) {
      const data = await failure(t.run(workflow ?? {}))
      found.push(
        data.code === 'COMFY_PROMPT_REFUSED'
          ? `${data.type} ${data.errors.map((e) => [e.nodeId, e.classType, e.type, e.input ?? ''].join('/')).join(' ')}`
          : data.code === 'COMFY_NODE_FAILED'
            ? `${data.code} ${data.nodeId}/${data.classType}/${data.exception}`
            : data.code,
      )
    }
    assert.deepEqual(found, [
      'prompt_outputs_failed_validation 3/KSampler/value_smaller_than_min/steps 3/KSampler/value_not_in_list/sampler_name 8/VAEDecode/required_input_missing/vae 37/UNETLoader/value_not_in_list/unet_name 49/CreateVideo/invalid_input_type/fps',
      'invalid_prompt 3/WanVideoSampler/invalid_prompt/',
      'prompt_no_outputs ',
      'prompt_no_outputs ',
      'prompt_outputs_failed_validation 8/VAEDecode/exception_during_inner_validation/images',
      'prompt_outputs_failed_validation 8/VAEDecode/return_type_mismatch/samples',
      'no_prompt ',
      'COMFY_STATUS',
      'COMFY_NODE_FAILED 9/SaveWEBM/KeyError',
    ])
  })

  it('partial_validation: gives the outputs that ran and says which were refused', async () => {
    await using t = await play('partial_validation')
    const run = await t.run(only('partial_validation'))
    assert.deepEqual(run.refused, [
      {
        nodeId: '9',
        classType: 'SaveWEBM',
        type: 'required_input_missing',
        message: 'Required input is missing: fps',
        input: 'fps',
      },
    ])
    assert.deepEqual([...new Set(run.outputs.map((o) => o.nodeId))], ['8', '10', '11'])
  })

  it('history_race: an empty history right after the error is no lost prompt', async () => {
    await using t = await play('history_race')
    const data = await failure(t.run(only('history_race')))
    assert.equal(data.code, 'COMFY_NODE_FAILED')
    assert.equal(data.code === 'COMFY_NODE_FAILED' && data.classType, 'SaveVideo')
    assert.equal(t.replay.count('POST', '/prompt'), 1)
  })

  it('execution_error: names the node at fault and what it threw', async () => {
    await using t = await play('execution_error')
    const { message, ...data } = await failure(t.run(only('execution_error')))
    assert.equal(data.code, 'COMFY_NODE_FAILED')
    if (data.code !== 'COMFY_NODE_FAILED') return
    assert.deepEqual(
      [data.nodeId, data.classType, data.exception],
      ['3', 'KSampler', 'RuntimeError'],
    )
    assert.match(message, /mat1 and mat2 shapes cannot be multiplied \(154x768 and 4096x256\)/)
    assert.ok(!message.includes('Traceback') && !message.includes('.py'), 'no traceback')
    assert.ok(!t.progress.some((p) => p.fraction === 1))
  })

  it('interrupt: removes its own queued prompt and interrupts its own running one', async () => {
    await using t = await play('interrupt')
    const [first, second] = recordedPrompts('interrupt')
    assert.ok(first !== undefined && second !== undefined)
    const [running, queued] = [new AbortController(), new AbortController()]
    const submitted = withResolvers<void>()
    const long = t.run(first, running.signal, () => submitted.resolve())
    await submitted.promise
    const waiting = t.run(second, queued.signal, () => queued.abort(new Error('not wanted')))
    await assert.rejects(waiting, /not wanted/)
    assert.equal(t.replay.count('POST', '/interrupt'), 0, 'the running prompt was left alone')
    running.abort(new Error('enough'))
    await assert.rejects(long, /enough/)
    const interrupts = t.replay.requests.filter((r) => r.path === '/interrupt')
    assert.equal(interrupts.length, 1)
    assert.match(JSON.parse(interrupts[0]?.body ?? '').prompt_id, /^[0-9a-f-]{36}$/)
  })

  it('reconnect: comes back under the same client id and runs nothing twice', async () => {
    await using t = await play('reconnect')
    const run = await t.run(only('reconnect'))
    assert.deepEqual(names(run), ['50:vec/rec_00001_.mp4'])
    assert.equal(t.replay.clientIds.length, 2)
    assert.equal(t.replay.clientIds[0], t.replay.clientIds[1])
    assert.equal(t.replay.count('POST', '/prompt'), 1)
    const fractions = t.progress.map((p) => p.fraction)
    assert.deepEqual(
      fractions,
      fractions.toSorted((a, b) => a - b),
    )
  })

  it('upload_view: uploads under a name and says what /view refuses', async () => {
    await using t = await play('upload_view')
    const name = await t.client.api.upload('vec_in.png', Buffer.from('PNG"\r\n--'), signal)
    assert.equal(name, 'vec_in.png')
    const upload = t.replay.requests[0]
    const boundary = /boundary=(\S+)/.exec(upload?.headers['content-type'] ?? '')?.[1]
    const parts = upload?.body.split(`--${boundary}`) ?? []
    assert.deepEqual(
      parts.slice(1, 3).map((part) => /name="(\w+)"\r\n\r\n(\w+)/.exec(part)?.slice(1)),
      [
        ['type', 'input'],
        ['overwrite', 'true'],
      ],
    )
    assert.match(
      parts[3] ?? '',
      /name="image"; filename="vec_in\.png"[\s\S]*\r\n\r\nPNG"\r\n--\r\n$/,
    )
    assert.equal(Number(upload?.headers['content-length']), upload?.body.length)
    const source = join(folder, 'in.png')
    await writeFile(source, 'bytes of a file')
    await t.client.api.upload('vec_in.png', source, signal)
    assert.match(t.replay.requests[1]?.body ?? '', /\r\n\r\nbytes of a file\r\n--/)

    const view = async (filename: string, type: string) => {
      const output = { nodeId: '1', key: 'images', filename, subfolder: '', type }
      const path = join(folder, `view-${type}-${filename.length}`)
      await t.client.api.view(output, path, { maxBytes: 10_000, signal })
      return readFile(path)
    }
    assert.equal((await view('vec_in.png', 'input')).length, 3648)
    for (const [name, status] of [
      ['nope.png', 404],
      ['../../x.png', 400],
    ] as const) {
      await assert.rejects(view(name, 'output'), (error: ComfyError) => {
        assert.deepEqual(error.data, {
          code: 'COMFY_STATUS',
          server: t.replay.address,
          call: '/view',
          status,
        })
        return true
      })
    }
    assert.ok(
      !(await readdir(folder)).some((file) => file.startsWith('view-output')),
      'nothing left',
    )
  })

  it('misc_endpoints: reads the state of the server and sends the token to it', async () => {
    await using t = await play('misc_endpoints')
    const client = clientOf(t.replay, 'a-token')
    const stats = await client.api.stats(signal)
    assert.equal(stats.version, '0.3.64')
    assert.deepEqual(stats.devices, [
      { name: 'cpu', index: undefined, vramTotal: 25276514304, vramFree: 22921297920 },
    ])
    assert.deepEqual(await client.api.queue(signal), { running: [], pending: [] })
    assert.equal(
      await client.api.outcome('00000000-0000-0000-0000-000000000000', signal),
      undefined,
    )
    await client.api.free(signal)
    const free = t.replay.requests.at(-1)
    assert.deepEqual(JSON.parse(free?.body ?? ''), { unload_models: true, free_memory: true })
    for (const { path, headers } of t.replay.requests) {
      assert.equal(headers.authorization, 'Bearer a-token', path)
    }
  })
})
