import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Dendrite } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { writePackage } from '#src/media/package/index.js'
import type { AnySynapse } from '#src/protocol/index.js'
import { findPlayable } from '#src/scoring/playable.js'
import { GenerationClient } from '#src/validator/generation/client.js'
import { DendriteMinerClient } from '#src/validator/miner-client.js'
import { DirStorage } from '../support/dir-storage.js'

const CLIP = fileURLToPath(
  new URL('../../../test/fixtures/media/flattitle.ref.mp4', import.meta.url),
)
const miner = { hotkey: 'm', uid: 1, ip: '192.0.2.1', port: 8091 }
const request = { taskId: 't', workflow: { '1': { class_type: 'X', inputs: {} } } }
const signal = new AbortController().signal

let dir = ''
let store: DirStorage
let calls: { name: string; request: Record<string, unknown> }[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-test-'))
  store = await DirStorage.open(join(dir, 'store'))
  calls = []
})
afterEach(async () => {
  await store.close()
  await rm(dir, { recursive: true })
})

/** A miner by what it answers each synapse; undefined is silence. */
function clientOf(
  answers: Record<string, (request: Record<string, unknown>) => unknown>,
  maxBytes = 1_000,
): GenerationClient {
  const dendrite = {
    call: async (_target: unknown, { name }: AnySynapse, sent: Record<string, unknown>) => {
      calls.push({ name, request: sent })
      const response = answers[name]?.(sent)
      return response === undefined
        ? { ok: false, kind: 'timeout', statusCode: 408 }
        : { ok: true, response }
    },
  } as unknown as Dendrite
  return new GenerationClient(
    { maxBytes, pollMs: 5 },
    {
      ...{ dendrite, store, clock: new SystemClock() },
      findVideo: (path, into, until) => findPlayable(path, into, {}, until),
    },
  )
}

describe('a generation task at a miner', () => {
  it('is done when its result is in the store, whatever the miner says meanwhile', async () => {
    let looked = 0
    const client = clientOf({
      VideoTask: () => ({ status_code: 200 }),
      TaskStatusCheck: () => {
        looked += 1
        const url = String(calls[0]?.request['upload_url'])
        if (looked === 2) void fetch(url, { method: 'PUT', body: 'the video' })
        return { status: 'completed' }
      },
    })
    const answer = await client.generate(miner, request, { timeoutMs: 10_000, signal })
    assert.ok(answer.ok)
    assert.ok(looked >= 2, 'the word of the miner alone was not enough')
    assert.equal(await client.fetch(answer.key, join(dir, 'result'), signal), true)
    assert.equal(await readFile(join(dir, 'result'), 'utf8'), 'the video')
  })

  it('is given up at once when the miner refuses it or says that it failed', async () => {
    const refusing = clientOf({ VideoTask: () => ({ status_code: 500, error: 'hostile text' }) })
    const refused = await refusing.generate(miner, request, { timeoutMs: 10_000, signal })
    assert.deepEqual([refused.ok, !refused.ok && refused.outcome], [false, 'refused'])
    assert.ok(!refused.ok && !refused.reason.includes('hostile'))
    const failing = clientOf({
      VideoTask: () => ({ status_code: 200 }),
      TaskStatusCheck: () => ({ status: 'failed' }),
    })
    const failed = await failing.generate(miner, request, { timeoutMs: 600_000, signal })
    assert.deepEqual([failed.ok, !failed.ok && failed.outcome], [false, 'no_answer'])
  })

  it('is given up and cancelled when its time is over, and when nobody answers', async () => {
    const late = clientOf({ VideoTask: () => ({ status_code: 200 }) })
    const answer = await late.generate(miner, request, { timeoutMs: 60, signal })
    assert.deepEqual([answer.ok, !answer.ok && answer.outcome], [false, 'no_answer'])
    assert.equal(calls.at(-1)?.name, 'TaskCancellation')
    const silent = await clientOf({}).generate(miner, request, { timeoutMs: 60, signal })
    assert.deepEqual([silent.ok, !silent.ok && silent.outcome], [false, 'no_answer'])
  })

  it('looks the same in a round and for a user, who gets the video of the package alone', async () => {
    const filename = 'clip_00001.mp4'
    const entry = { nodeId: '9', key: 'gifs', filename, type: 'output' }
    const sizeBytes = (await stat(CLIP)).size
    await writePackage(join(dir, 'p.zip'), [{ ...entry, subfolder: '', path: CLIP, sizeBytes }], {
      ...{ version: 1, promptId: 'p', renderSeconds: 1, files: [] },
    })
    const client = clientOf(
      {
        VideoTask: ({ upload_url }) => {
          void readFile(join(dir, 'p.zip')).then((body) =>
            fetch(String(upload_url), { method: 'PUT', body }),
          )
          return { status_code: 200 }
        },
      },
      10_000_000,
    )
    const round = await client.generate(miner, request, { timeoutMs: 10_000, signal })
    const user = new DendriteMinerClient({} as Dendrite, new SystemClock(), client)
    const task = { kind: 'generation', roundId: 'a task', workflow: request.workflow } as const
    const answer = await user.ask(miner, task, { timeoutMs: 10_000, signal })
    const shapes = calls
      .filter(({ name }) => name === 'VideoTask')
      .map(({ request: sent }) => ({
        ...sent,
        named: sent['file_name'] === sent['task_id'],
        upload_url: String(sent['upload_url']).replaceAll(/[0-9a-f]{16,}|\d{10,}/g, 'x'),
        ...{ task_id: 'id', file_name: 'id' },
      }))
    assert.equal(shapes.length, 2)
    assert.deepEqual(shapes[0], shapes[1])
    assert.ok(round.ok && answer.ok)
    const body = Buffer.from(await (await fetch(answer.url)).arrayBuffer())
    assert.deepEqual(body, await readFile(CLIP))
    const kept: string[] = []
    for await (const { key } of store.list('payloads/')) kept.push(extname(key))
    assert.deepEqual(kept.sort(), ['.mp4', '.zip'], 'of the user only the video is kept')
  })

  it('is no answer for a user when there is no video in it', async () => {
    await writeFile(join(dir, 'text'), 'no video')
    await store.putFile('payloads/generated-y.zip', join(dir, 'text'))
    assert.equal(await clientOf({}).video('payloads/generated-y.zip', signal), undefined)
  })

  it('brings no file that is larger than allowed', async () => {
    const source = join(dir, 'source')
    await writeFile(source, Buffer.alloc(2_000))
    await store.putFile('payloads/generated-x.zip', source)
    const path = join(dir, 'result')
    assert.equal(await clientOf({}).fetch('payloads/generated-x.zip', path, signal), false)
    await assert.rejects(readFile(path))
  })

  it('goes to miners that have room and do not deny that they run workflows', async () => {
    const full = clientOf({ MinerCapacity: () => ({ available: false }) })
    assert.equal(await full.readiness(miner, signal), 'full')
    const lanes = { compression: {}, generation: { available: false } }
    const busy = clientOf({ MinerCapacity: () => ({ available: true, lanes }) })
    assert.equal(await busy.readiness(miner, signal), 'full', 'room for other work is no room')
    const without = clientOf({ ComfySupport: () => ({ supports_comfy: false }) })
    assert.equal(await without.readiness(miner, signal), 'no-comfy')
    assert.equal(await clientOf({}).readiness(miner, signal), 'ready')
  })
})
