import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Chain, Metagraph, Neuron } from '#src/chain/types.js'
import { silentLog } from '#src/lib/log.js'
import { SeededRng } from '#src/lib/rng.js'
import { toBlockNumber, toNetuid, toUid } from '#src/protocol/units.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { OrganicDuty } from '#src/validator/duties/organic.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { Network } from '#src/validator/network.js'
import { MinerStore } from '#src/validator/state/miners.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { TaskStore } from '#src/validator/state/tasks.js'
import { WorkflowStore, WorkflowTemplate } from '#src/workflows/index.js'
import { FakeClock } from '../support/fake-clock.js'
import { answers, fails, hangs, MemoryFetcher, MemoryMiners } from '../support/validator-fakes.js'

const NOISE = { '1': { class_type: 'ImageAddNoise', inputs: { seed: 0 } } }
const NAMES = ['best', 'second', 'third'] as const

let db: StateDatabase
let clock: FakeClock
let tasks: TaskStore
let client: MemoryMiners
let duty: OrganicDuty
let tempDir: string
let agreed: Map<string, number>

function neuron(hotkey: string, uid: number): Neuron {
  return {
    hotkey,
    uid: toUid(uid),
    coldkey: 'c',
    registeredAt: 1,
    axon: { ip: '192.0.2.1', port: 8091, version: 1, protocol: 4 },
  } as unknown as Neuron
}

beforeEach(async () => {
  db = await openState(':memory:')
  clock = new FakeClock()
  tempDir = await mkdtemp(join(tmpdir(), 'subreel-test-'))
  tasks = new TaskStore(db, clock)
  client = new MemoryMiners()
  agreed = new Map()
  const miners = new MinerStore(db, clock, 85)
  const neurons = NAMES.map(neuron)
  await miners.sync(neurons)
  for (const hotkey of NAMES) await miners.warrant(hotkey, ['compress', 'generate'])
  const network = new Network({} as Chain, toNetuid(85), 'self' as Neuron['hotkey'])
  const head = { number: toBlockNumber(10), hash: '0x' }
  network.update(head, {
    netuid: toNetuid(85),
    block: head.number,
    blockHash: '0x',
    neurons,
  } satisfies Metagraph)
  const ledger = new LedgerState(LEDGER_RULES)
  ledger.add(
    'r',
    1,
    NAMES.map((hotkey, uid) => ({
      hotkey,
      uid,
      kind: 'compression',
      outcome: 'scored',
      score: 0.9 - uid / 10,
      reason: '',
    })),
  )
  duty = new OrganicDuty(
    { everyMs: 1000, concurrency: 8, maxMiners: 3, hedgeMs: 5_000, exploration: 0, tempDir },
    {
      network,
      miners,
      tasks,
      client,
      fetcher: new MemoryFetcher(),
      check: async (path) => ({ ok: !path.includes('bad'), reason: 'bad' }),
      workflows: new WorkflowStore([
        new WorkflowTemplate('noise', NOISE, {
          seed: { node_id: '1', input_name: 'seed' },
        }),
      ]),
      ledger,
      consensus: { performance: (hotkey) => agreed.get(hotkey) },
      clock,
      rng: new SeededRng('x'),
      log: silentLog(),
    },
  )
})

afterEach(async () => {
  await db.destroy()
  await rm(tempDir, { recursive: true })
})

async function serve(params: unknown = { url: 'https://a.example/in.mp4' }, kind = 'compression') {
  await tasks.add({
    taskId: 't',
    kind,
    origin: 'organic',
    params,
    timeoutSeconds: 60,
  })
  const { signal } = new AbortController()
  await duty.run(signal, signal)
}

describe('organic tasks', () => {
  it('go to the best miner and end completed with its checked answer', async () => {
    client.behaviours.set('best', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    const task = await tasks.get('t')
    assert.deepEqual(
      [task?.status, task?.minerHotkey, task?.resultUrl],
      ['completed', 'best', 'https://a.example/out.mp4'],
    )
    assert.deepEqual(
      client.asked.map(({ hotkey }) => hotkey),
      ['best'],
    )
    assert.deepEqual(await readdir(tempDir), [])
  })

  it('go to whom validators agree on before whom we alone have seen', async () => {
    agreed.set('third', 0.95)
    client.behaviours.set('third', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    assert.equal((await tasks.get('t'))?.minerHotkey, 'third')
  })

  it('go to the next miner at once when one fails', async () => {
    client.behaviours.set('best', fails('refused'))
    client.behaviours.set('second', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    assert.equal((await tasks.get('t'))?.minerHotkey, 'second')
  })

  it('are hedged when a miner is slow: the first good answer wins', async () => {
    client.behaviours.set('best', hangs)
    client.behaviours.set('second', answers('https://a.example/out.mp4'))
    await serve()
    while (client.asked.length < 1) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(4_999)
    assert.equal(client.asked.length, 1)
    await clock.advance(1)
    await duty.idle()
    assert.equal((await tasks.get('t'))?.minerHotkey, 'second')
  })

  it('fail with a code when no miner of the few that may be tried is good', async () => {
    await serve()
    await duty.idle()
    const task = await tasks.get('t')
    assert.deepEqual([task?.status, task?.errorCode], ['failed', 'TASK_NO_GOOD_ANSWER'])
    assert.equal(client.asked.length, 3)
  })

  it('fail with a code when their parameters make no sense', async () => {
    await serve({ url: 'not a url' })
    await duty.idle()
    assert.equal((await tasks.get('t'))?.errorCode, 'TASK_PARAMS_INVALID')
    assert.equal(client.asked.length, 0)
  })

  it('generate from a workflow by name, filled with values, or from a whole one', async () => {
    client.behaviours.set('best', answers('https://a.example/out.mp4'))
    await serve({ workflow: 'noise', values: { seed: 7 } }, 'generation')
    await duty.idle()
    assert.equal((await tasks.get('t'))?.status, 'completed')
    const filled = { '1': { class_type: 'ImageAddNoise', inputs: { seed: 7 } } }
    assert.deepEqual(client.asked[0]?.task, {
      kind: 'generation',
      roundId: 't',
      workflow: filled,
    })
    await db.deleteFrom('tasks').execute()
    await serve({ workflow_params: NOISE }, 'generation')
    await duty.idle()
    assert.deepEqual(client.asked[1]?.task, { kind: 'generation', roundId: 't', workflow: NOISE })
  })

  it('say which value of a workflow does not fit', async () => {
    for (const [params, words] of [
      [{ workflow: 'other' }, /there are noise/],
      [{ workflow: 'noise', values: { steps: 3 } }, /does not take steps; it takes seed/],
      [{}, /name a workflow/],
    ] as const) {
      await db.deleteFrom('tasks').execute()
      await db.deleteFrom('task_history').execute()
      await serve(params, 'generation')
      await duty.idle()
      assert.equal((await tasks.get('t'))?.errorCode, 'TASK_PARAMS_INVALID')
      assert.match((await tasks.history('t')).at(-1)?.detail ?? '', words)
    }
    assert.equal(client.asked.length, 0)
  })
})
