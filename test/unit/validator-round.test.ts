import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { FetchError } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { createMetrics } from '#src/validator/metrics.js'
import { DEFAULT_PLAN_SETTINGS, planRound } from '#src/validator/plan.js'
import { RoundRunner } from '#src/validator/round.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
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
  playable,
} from '../support/validator-fakes.js'

const HOTKEYS = ['good', 'silent', 'refuses', 'empty', 'broken', 'thief'] as const
const miners = HOTKEYS.map((hotkey, uid) => ({ hotkey, uid, ip: '192.0.2.1', port: 8091 }))
const at = { block: 100, blockHash: `0x${'ab'.repeat(32)}` }

let db: StateDatabase
let rounds: RoundStore
let client: MemoryMiners
let payloads: MemoryPayloads
let clock: FakeClock
let tempDir: string

beforeEach(async () => {
  db = await openState(':memory:')
  clock = new FakeClock()
  tempDir = await mkdtemp(join(tmpdir(), 'subreel-test-'))
  rounds = new RoundStore(db, clock)
  client = new MemoryMiners()
  payloads = new MemoryPayloads()
})
afterEach(async () => {
  await db.destroy()
  await rm(tempDir, { recursive: true })
})

const refused = new FetchError({ code: 'FETCH_STATUS', status: 404 }, 'the server answered 404')

function runner(
  judge = new MemoryJudge(() => 0.5),
  fetcher = new MemoryFetcher((url) => (url.includes('gone') ? refused : undefined)),
) {
  return new RoundRunner(
    { netuid: 85, concurrency: 256, timeoutMs: () => 1000, tempDir },
    {
      rounds,
      corpus: new MemoryCorpus(),
      check: playable,
      payloads,
      client,
      fetcher,
      judge,
      clock,
      log: silentLog(),
      metrics: createMetrics(createRegistry()),
    },
  )
}

function plan() {
  return planRound({
    netuid: 85,
    kind: 'compression',
    ...at,
    clips: new MemoryCorpus().clips,
    miners: [...HOTKEYS],
    seconds: 2,
    settings: DEFAULT_PLAN_SETTINGS,
  })
}

describe('a round', () => {
  it('turns everything that can happen to a miner into a typed outcome with a reason', async () => {
    client.behaviours.set('good', answers('https://a.example/one'))
    client.behaviours.set('silent', fails('no_answer'))
    client.behaviours.set('refuses', fails('refused'))
    client.behaviours.set('empty', fails('empty_url'))
    client.behaviours.set('broken', answers('https://a.example/gone'))
    client.behaviours.set('thief', async (task, signal) => {
      // The thief needs the original first.
      await new Promise((resolve) => setTimeout(resolve, 50))
      return answers('https://a.example/one')(task, signal)
    })
    await runner().play(plan(), at, miners, new AbortController().signal)
    const history = await rounds.history(85, 10)
    assert.deepEqual(Object.fromEntries(history.map((row) => [row.hotkey, row.outcome])), {
      good: 'scored',
      silent: 'no_answer',
      refuses: 'refused',
      empty: 'empty_url',
      broken: 'download_failed',
      thief: 'copied',
    })
    assert.ok(history.every((row) => row.reason.length > 0))
    assert.deepEqual(
      history.filter((row) => row.score > 0).map((row) => row.hotkey),
      ['good'],
    )
  })

  it('lowers nobody when nothing came from anybody: the fault may be ours', async () => {
    const ways = ['no_answer', 'refused', 'empty_url'] as const
    for (const [i, hotkey] of HOTKEYS.entries())
      client.behaviours.set(hotkey, fails(ways[i % ways.length] ?? 'no_answer'))
    await runner().play(plan(), at, miners, new AbortController().signal)
    const kept = await db.selectFrom('scores').select(['outcome', 'counts', 'reason']).execute()
    assert.equal(kept.length, HOTKEYS.length)
    for (const { outcome, counts, reason } of kept) {
      assert.deepEqual([outcome, counts], ['infrastructure', 0])
      assert.match(reason, /may be ours; of this miner: (no_answer|refused|empty_url)/)
    }
  })

  it('asks every miner the same work and tells none how the challenge was made', async () => {
    await runner().play(plan(), at, miners, new AbortController().signal)
    assert.equal(client.asked.length, miners.length)
    const [first, ...rest] = client.asked.map(({ task }) => JSON.stringify(task))
    for (const other of rest) assert.equal(other, first)
    assert.deepEqual(
      client.asked.map(({ hotkey }) => hotkey),
      plan().order,
    )
  })

  it('gives a miner that takes only short clips a short one, and nobody else', async () => {
    const lengths: number[] = []
    const judge = new MemoryJudge(() => 0.5)
    const judging = judge.judge.bind(judge)
    judge.judge = (request: Parameters<typeof judging>[0] & { contentSeconds?: number }) => {
      lengths.push(request.contentSeconds ?? 0)
      return judging(request)
    }
    client.behaviours.set('good', answers('https://a.example/long'))
    client.behaviours.set('silent', answers('https://a.example/short'))
    const some = miners.map((miner) =>
      miner.hotkey === 'silent' ? { ...miner, maxSeconds: 1 } : miner,
    )
    const result = await runner(judge).play(plan(), at, some, new AbortController().signal)
    assert.ok(result.outcome === 'committed')
    const secondsOf = (hotkey: string) =>
      result.scores.find((score) => score.hotkey === hotkey)?.contentSeconds
    assert.deepEqual([secondsOf('good'), secondsOf('silent')], [2, 1])
    assert.deepEqual(lengths.sort(), [1, 2])
    const urls = new Map(
      client.asked.map(({ hotkey, task }) => [hotkey, 'url' in task ? task.url : '']),
    )
    assert.notEqual(urls.get('silent'), urls.get('good'))
    assert.equal(urls.get('refuses'), urls.get('good'))
    assert.equal(payloads.live.size, 0)
  })

  it('judges what has arrived while a slow miner is still working', async () => {
    let slowEnds = () => {}
    client.behaviours.set('good', answers('https://a.example/one'))
    client.behaviours.set(
      'silent',
      (task, signal) =>
        new Promise((resolve) => {
          slowEnds = () => resolve(answers('https://a.example/two')(task, signal))
        }),
    )
    const judged: string[] = []
    const judge = new MemoryJudge((result) => {
      judged.push(result.id)
      if (result.id === 'good') slowEnds()
      return 0.5
    })
    await runner(judge).play(plan(), at, miners, new AbortController().signal)
    assert.deepEqual(judged, ['good', 'silent'])
  })

  it('lowers nobody when the judge fails', async () => {
    client.behaviours.set('good', answers('https://a.example/one'))
    await runner(new MemoryJudge(() => new Error('out of memory'))).play(
      plan(),
      at,
      miners,
      new AbortController().signal,
    )
    assert.equal(
      (await rounds.history(85, 10)).find((row) => row.hotkey === 'good'),
      undefined,
    )
  })

  it('is void when it is interrupted, and leaves no file and no payload', async () => {
    for (const hotkey of HOTKEYS) client.behaviours.set(hotkey, hangs)
    const stop = new AbortController()
    const run = runner().play(plan(), at, miners, stop.signal)
    while (client.asked.length < miners.length)
      await new Promise((resolve) => setImmediate(resolve))
    stop.abort()
    await assert.rejects(run, { name: 'AbortError' })
    assert.deepEqual(await rounds.history(85, 10), [])
    assert.equal(payloads.live.size, 0)
    assert.deepEqual(await readdir(tempDir), [])
  })

  it('is played once', async () => {
    const first = await runner().play(plan(), at, miners, new AbortController().signal)
    const second = await runner().play(plan(), at, miners, new AbortController().signal)
    assert.deepEqual([first.outcome, second.outcome], ['committed', 'played-before'])
    assert.equal(client.asked.length, miners.length)
  })
})
