import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Dendrite } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import type { AnySynapse } from '#src/protocol/index.js'
import { GenerationClient } from '#src/validator/generation/client.js'
import { DirStorage } from '../support/dir-storage.js'

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
    { dendrite, store, clock: new SystemClock() },
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
