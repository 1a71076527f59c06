import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Chain, Metagraph, Neuron } from '#src/chain/types.js'
import { Work } from '#src/gateway/requests.js'
import { FetchError } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { SeededRng } from '#src/lib/rng.js'
import { UPSCALE_TASK_TYPES } from '#src/protocol/index.js'
import { toBlockNumber, toNetuid, toUid } from '#src/protocol/units.js'
import { LEDGER_RULES, standingOf } from '#src/scoring/ledger.js'
import { VIDEO_CODECS } from '#src/scoring/types.js'
import { OrganicDuty } from '#src/validator/duties/organic.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { createMetrics } from '#src/validator/metrics.js'
import { Network } from '#src/validator/network.js'
import { OrganicParams } from '#src/validator/organic/params.js'
import { OrganicSampler } from '#src/validator/organic/sample.js'
import { DEFAULT_PLAN_SETTINGS, planRound, ROUND_KINDS } from '#src/validator/plan.js'
import { MinerStore } from '#src/validator/state/miners.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { TaskStore } from '#src/validator/state/tasks.js'
import { WorkflowStore, WorkflowTemplate } from '#src/workflows/index.js'
import { FakeClock } from '../support/fake-clock.js'
import {
  answers,
  fails,
  hangs,
  MemoryCorpus,
  MemoryFetcher,
  MemoryJudge,
  MemoryMiners,
  MemoryPayloads,
} from '../support/validator-fakes.js'

const NOISE = { '1': { class_type: 'ImageAddNoise', inputs: { seed: 0, image: '' } } }
const NAMES = ['best', 'second', 'third'] as const

let db: StateDatabase
let clock: FakeClock
let tasks: TaskStore
let client: MemoryMiners
let duty: OrganicDuty
let tempDir: string
let agreed: Map<string, number>
let payloads: MemoryPayloads
let judge: MemoryJudge
let judged: number | Error
let ledger: LedgerState

const gone = new FetchError({ code: 'FETCH_STATUS', status: 404 }, 'the server answered 404')

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
  payloads = new MemoryPayloads()
  judged = 0.75
  judge = new MemoryJudge(() => judged)
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
  ledger = new LedgerState(LEDGER_RULES)
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
    {
      ...{ everyMs: 1000, concurrency: 8, maxMiners: 3, hedgeMs: 5_000, exploration: 0, tempDir },
      sample: 1,
      minerTimeoutMs: () => 40_000,
    },
    {
      network,
      miners,
      tasks,
      client,
      fetcher: new MemoryFetcher((url) => (url.includes('gone') ? gone : undefined)),
      // The file's content is the URL it came from.
      check: async (path) => {
        const url = await readFile(path, 'utf8')
        return {
          ok: !url.includes('bad'),
          reason: 'bad',
          durationSeconds: url.includes('short') ? 1 : 10,
        }
      },
      payloads,
      sampler: new OrganicSampler(
        { seconds: 10, settings: DEFAULT_PLAN_SETTINGS },
        {
          ...{ network, ledger, judge, rng: new SeededRng('sample') },
          rounds: new RoundStore(db, clock),
          clipOf: async () => new MemoryCorpus(),
          roundsOf: () => {
            throw new Error('only upscaling is played again')
          },
        },
      ),
      metrics: createMetrics(createRegistry()),
      workflows: new WorkflowStore([
        new WorkflowTemplate('noise', NOISE, {
          seed: { node_id: '1', input_name: 'seed' },
          image_url: { node_id: '1', input_name: 'image' },
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

async function serve(
  params: unknown = { url: 'https://a.example/in.mp4' },
  kind = 'compression',
  timeoutSeconds = 60,
  { signal } = new AbortController(),
) {
  await tasks.add({
    taskId: 't',
    kind,
    origin: 'organic',
    params,
    timeoutSeconds,
  })
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
      ['scored', 'best', 'https://a.example/out.mp4'],
    )
    assert.deepEqual(
      client.asked.map(({ hotkey }) => hotkey),
      ['best'],
    )
    assert.deepEqual(await readdir(tempDir), [])
  })

  it('look to miners as rounds do: our own URL, never the one of the user', async () => {
    client.behaviours.set('best', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    const [asked] = client.asked
    assert.ok(asked?.task.kind === 'compression')
    assert.match(asked.task.url, /^https:\/\/store\.example\//)
    assert.equal(payloads.live.size, 0, 'and it is removed when the task is done')
  })

  it('ask what rounds ask, of users who leave it open', async () => {
    const { thresholds, codecs, modes, bitratesMbps } = DEFAULT_PLAN_SETTINGS
    const row = OrganicParams.parse({ kind: 'compression', url: 'https://a.example/in.mp4' })
    const job = Work.parse({ kind: 'compression' })
    for (const work of [row, job]) {
      assert.ok(work.kind === 'compression')
      assert.ok(thresholds.includes(work.vmafThreshold))
      assert.ok(codecs.includes(work.codec))
      assert.ok(modes.includes(work.mode))
      assert.ok(bitratesMbps.includes(work.targetBitrateMbps))
    }
  })

  it('may choose no codec, mode or task type that rounds never draw', () => {
    const asked = new Set<string>()
    const thresholds = new Set<number>()
    for (let i = 0; i < 1_500; i += 1) {
      for (const kind of ROUND_KINDS) {
        const { task } = planRound({
          ...{ netuid: 85, kind, block: i, blockHash: `0x${i}`, miners: ['a'], seconds: 2 },
          clips: [{ id: 'c', durationSeconds: 9, width: 64, height: 64 }],
          settings: DEFAULT_PLAN_SETTINGS,
        })
        if (task.kind === 'upscaling') asked.add(task.taskType)
        else thresholds.add(task.vmafThreshold) && asked.add(`${task.codec} ${task.mode}`)
      }
    }
    const compressions = VIDEO_CODECS.flatMap((codec) => [`${codec} CRF`, `${codec} VBR`])
    assert.deepEqual([...asked].sort(), [...compressions, ...UPSCALE_TASK_TYPES].sort())
    for (let threshold = 70; threshold <= 97; threshold += 1)
      assert.ok(thresholds.has(threshold), `${threshold}`)
    const tenths = [...thresholds].filter((threshold) => !Number.isInteger(threshold))
    assert.ok(tenths.length > 20, `${tenths.length} thresholds in tenths`)
    for (const tenth of tenths) {
      assert.ok(tenth > 70 && tenth < 97, `${tenth}`)
      assert.match(`${tenth}`, /^\d\d\.\d$/)
    }
    const row = { kind: 'upscaling', url: 'https://a.example/in.mp4', taskType: 'ANY' }
    assert.equal(OrganicParams.safeParse(row).success, false, 'a type that no round has')
  })

  it('count for the miner when they are sampled, once', async () => {
    client.behaviours.set('third', answers('https://a.example/out.mp4'))
    agreed.set('third', 1)
    const third = 'third' as Neuron['hotkey']
    const before = standingOf(ledger.current, third, 'compression')
    await serve()
    await duty.idle()
    const after = standingOf(ledger.current, third, 'compression')
    assert.equal(after.scored, before.scored + 1)
    assert.equal(after.rows[0]?.origin, 'organic')
    const [row] = await new RoundStore(db, clock).history(85, 1)
    assert.deepEqual([row?.hotkey, row?.score, row?.roundId], ['third', 0.75, 'organic-t'])
  })

  it('lower nobody when the sample cannot be judged', async () => {
    judged = new Error('out of memory')
    client.behaviours.set('best', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    assert.equal((await tasks.get('t'))?.status, 'completed')
    assert.deepEqual(await new RoundStore(db, clock).history(85, 1), [])
  })

  it('take no answer of another length than the source', async () => {
    client.behaviours.set('best', answers('https://a.example/short.mp4'))
    client.behaviours.set('second', answers('https://a.example/out.mp4'))
    await serve()
    await duty.idle()
    assert.equal((await tasks.get('t'))?.minerHotkey, 'second')
  })

  it('fail with a code when their video cannot be fetched', async () => {
    await serve({ url: 'https://a.example/gone.mp4' })
    await duty.idle()
    assert.equal((await tasks.get('t'))?.errorCode, 'TASK_SOURCE_UNREACHABLE')
    assert.equal(client.asked.length, 0)
    assert.deepEqual(await readdir(tempDir), [])
  })

  it('are tried again after a fault of ours, a few times', async () => {
    payloads.publish = async () => {
      throw new Error('the disk is full')
    }
    await serve()
    await duty.idle()
    const once = await tasks.get('t')
    assert.deepEqual([once?.status, once?.retryCount], ['pending', 1])
    const { signal } = new AbortController()
    for (let i = 0; i < 2; i += 1) {
      await duty.run(signal, signal)
      await duty.idle()
    }
    assert.equal((await tasks.get('t'))?.errorCode, 'TASK_INTERRUPTED')
  })

  it('wait for the next start when this one ends before an answer came', async () => {
    for (const name of NAMES) client.behaviours.set(name, hangs)
    const stop = new AbortController()
    await serve(undefined, 'compression', 60, stop)
    while (client.asked.length < 1) await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    await duty.idle()
    assert.equal((await tasks.get('t'))?.status, 'processing')
    assert.equal(await tasks.recover(), 1)
  })

  it('end as timed out when nobody answers in time', async () => {
    for (const name of NAMES) client.behaviours.set(name, hangs)
    // The deadline of a task alone would not keep a process alive.
    const alive = setInterval(() => {}, 50)
    await serve(undefined, 'compression', 0.2)
    await duty.idle()
    clearInterval(alive)
    const task = await tasks.get('t')
    assert.deepEqual([task?.status, task?.errorCode], ['timeout', 'TASK_TIMEOUT'])
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
    const filled = { '1': { class_type: 'ImageAddNoise', inputs: { seed: 7, image: '' } } }
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

  it('show miners an image of ours, not the address of the user', async () => {
    client.behaviours.set('best', answers('https://a.example/out.mp4'))
    const values = { image_url: 'https://a.example/face.png' }
    await serve({ workflow: 'noise', values }, 'generation')
    await duty.idle()
    const [asked] = client.asked
    assert.ok(asked?.task.kind === 'generation')
    const { image } = (asked.task.workflow as typeof NOISE)['1'].inputs
    assert.match(image, /^https:\/\/store\.example\//)
    assert.equal(payloads.live.size, 0)
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
