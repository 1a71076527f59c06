import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import type { Rerun } from '#src/scoring/generation/index.js'
import type { ScoreRecord } from '#src/scoring/types.js'
import type { GenerationAnswer } from '#src/validator/generation/client.js'
import { Penalties } from '#src/validator/generation/penalties.js'
import { planGeneration } from '#src/validator/generation/plan.js'
import { GenerationRound, type GenerationRoundModules } from '#src/validator/generation/round.js'
import { blockTimeMs } from '#src/validator/ledger-state.js'
import { createMetrics } from '#src/validator/metrics.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { type Workflow, WorkflowStore, WorkflowTemplate } from '#src/workflows/index.js'
import { MemoryPayloads } from '../support/validator-fakes.js'

const graph: Workflow = {
  '1': { class_type: 'CLIPTextEncode', inputs: { text: '' } },
  '2': { class_type: 'KSampler', inputs: { seed: 0 } },
  '3': { class_type: 'LoadImage', inputs: { image: 'x.png' } },
}
const at = (node_id: string, input_name: string) => ({ node_id, input_name })
const text = { video_prompt: at('1', 'text'), seed: at('2', 'seed') }
const workflows = [
  new WorkflowTemplate('text', graph, text),
  new WorkflowTemplate('image', graph, { ...text, image_url: at('3', 'image') }),
]
const clips = [{ id: 'a', durationSeconds: 8, width: 64, height: 64 }]
const hashOf = (n: number) => `0x${n.toString(16).padStart(64, '0')}`
const planOf = (n: number, miners = ['m1', 'm2', 'm3'], of = workflows) =>
  planGeneration({ netuid: 99, block: n, blockHash: hashOf(n), workflows: of, clips, miners })

describe('the plan of a round of generation', () => {
  it('follows from the block alone, in whatever order a validator holds its lists', () => {
    const plan = planOf(7)
    assert.deepEqual(plan, planOf(7, ['m3', 'm1', 'm2'], [...workflows].reverse()))
    assert.notDeepEqual(plan.values, planOf(8).values)
  })

  it('draws every workflow, a first frame where one is needed, and ever new prompts', () => {
    const plans = Array.from({ length: 60 }, (_, n) => planOf(n))
    assert.deepEqual(new Set(plans.map(({ task }) => task.workflow)), new Set(['text', 'image']))
    for (const { task, still } of plans)
      assert.equal(still !== undefined, task.workflow === 'image', task.workflow)
    assert.ok(new Set(plans.map(({ values }) => values['video_prompt'])).size >= 59)
    assert.equal(new Set(plans.map(({ values }) => values['seed'])).size, 60)
    for (const { still } of plans) assert.ok((still?.atSeconds ?? 0) < 8)
  })
})

describe('penalties', () => {
  const row = (outcome: 'scored' | 'no_answer' | 'infrastructure', score = 0) => ({
    ...{ hotkey: 'm', kind: 'generation', outcome, score },
  })

  it('keep a miner that fails again and again out for a while, by the clock of the chain', () => {
    const penalties = new Penalties()
    for (let block = 1; block <= 4; block += 1) {
      assert.ok(penalties.mayAsk('m', block), `block ${block}`)
      penalties.add(block, [row('no_answer')])
    }
    const blocksOf300s = 300_000 / blockTimeMs(1)
    assert.equal(penalties.mayAsk('m', 5), false)
    assert.equal(penalties.mayAsk('m', 4 + blocksOf300s - 1), false)
    assert.ok(penalties.mayAsk('m', 4 + blocksOf300s))
    assert.ok(penalties.mayAsk('other', 5))
  })

  it('count neither our own failures nor other work, and forgive after a success', () => {
    const penalties = new Penalties()
    for (let block = 1; block <= 9; block += 1) {
      penalties.add(block, [row('infrastructure'), { ...row('no_answer'), kind: 'compression' }])
      penalties.add(block, [row('no_answer')])
      penalties.add(block, [row('scored', 0.9)])
      assert.ok(penalties.mayAsk('m', block + 1))
    }
  })
})

const HOTKEYS = ['good', 'slow', 'silent', 'refuses', 'without', 'full', 'huge', 'broken'] as const
const miners = HOTKEYS.map((hotkey, uid) => ({ hotkey, uid, ip: '192.0.2.1', port: 8091 }))
const RERUN: Rerun = { workflowSha256: '', files: [], gpu: undefined, renderSeconds: 1, frames: 9 }

let db: StateDatabase
let dir: string
beforeEach(async () => {
  db = await openState(':memory:')
  dir = await mkdtemp(join(tmpdir(), 'subreel-test-'))
})
afterEach(async () => {
  await db.destroy()
  await rm(dir, { recursive: true })
})

const record = (score: number): ScoreRecord =>
  ({ score, reason: 'judged', gates: [], metrics: { quality: score } }) as unknown as ScoreRecord

/** A round over miners in memory. */
function roundOf(parts: Partial<Pick<GenerationRoundModules, 'judge'>> = {}, keepResults = false) {
  const answers: Record<string, GenerationAnswer> = {
    silent: { ok: false, outcome: 'no_answer', reason: 'no answer: timeout', latencyMs: 5 },
    refuses: { ok: false, outcome: 'refused', reason: 'refused with status 500', latencyMs: 5 },
  }
  const removed: string[] = []
  const asked: Workflow[] = []
  const rounds = new RoundStore(db, new SystemClock())
  const round = new GenerationRound(
    { netuid: 99, concurrency: 8, timeoutMs: 60_000, tempDir: dir, keepResults },
    {
      rounds,
      workflows: new WorkflowStore(workflows),
      client: {
        readiness: async ({ hotkey }) =>
          hotkey === 'without' ? 'no-comfy' : hotkey === 'full' ? 'full' : 'ready',
        generate: async ({ hotkey }, { workflow }) => {
          asked.push(workflow)
          return answers[hotkey] ?? { ok: true, key: hotkey, latencyMs: 1_000 }
        },
        fetch: async (key, path) => {
          if (key === 'huge') return false
          await writeFile(path, key)
          return true
        },
        url: async (key) => `https://store.example/${key}`,
        remove: async (key) => void removed.push(key),
      },
      judge: {
        rerun: async () => RERUN,
        judge: async (_rerun, { path }) => {
          if (path.includes('uid-7')) throw new Error('out of memory')
          return record(0.8)
        },
      },
      stills: { still: async (_plan, output) => writeFile(output, 'png') },
      payloads: new MemoryPayloads(),
      clock: new SystemClock(),
      log: silentLog(),
      metrics: createMetrics(createRegistry()),
      ...parts,
    },
  )
  return { round, rounds, removed, asked }
}

const plan = planOf(3, [...HOTKEYS])
const opening = { block: 3, blockHash: hashOf(3) }
const signal = new AbortController().signal

describe('a round of generation', () => {
  it('makes a row with a reason of everything that may happen to a miner', async () => {
    const { round, rounds, removed, asked } = roundOf()
    const result = await round.play(plan, opening, miners, signal)
    assert.ok(result.outcome === 'committed')
    const outcomes = Object.fromEntries(result.scores.map((row) => [row.hotkey, row.outcome]))
    assert.deepEqual(outcomes, {
      good: 'scored',
      slow: 'scored',
      silent: 'no_answer',
      refuses: 'refused',
      without: 'refused',
      huge: 'download_failed',
      broken: 'infrastructure',
    })
    assert.ok(result.scores.every(({ reason }) => reason.length > 0))
    const counted = (await rounds.history(99, 10)).map(({ hotkey }) => hotkey)
    assert.equal(counted.includes('broken'), false, 'a failure of ours counts for nobody')
    assert.equal(counted.includes('full'), false, 'a miner without room is not asked')
    assert.deepEqual(new Set(removed), new Set(['good', 'slow', 'huge', 'broken']))
    assert.equal(new Set(asked.map((workflow) => JSON.stringify(workflow))).size, 1)
    assert.deepEqual(await readdir(dir), [])
  })

  it('leaves what was judged in the store, with its URL, where results are kept', async () => {
    const { round, removed } = roundOf({}, true)
    const result = await round.play(plan, opening, miners, signal)
    assert.ok(result.outcome === 'committed')
    const urls = result.scores.flatMap(({ resultUrl }) => resultUrl ?? [])
    assert.deepEqual(urls.sort(), ['https://store.example/good', 'https://store.example/slow'])
    assert.deepEqual(new Set(removed), new Set(['huge', 'broken']))
  })

  it('is void, and waits for nobody, when our own rerun fails', async () => {
    const never = new Promise<never>(() => {})
    const { round, rounds } = roundOf({
      judge: {
        rerun: async () => {
          throw new Error('CUDA out of memory')
        },
        judge: () => never,
      },
    })
    await assert.rejects(round.play(plan, opening, miners, signal), /CUDA out of memory/)
    assert.deepEqual(await rounds.history(99, 10), [])
    const [row] = await db.selectFrom('rounds').selectAll().execute()
    assert.equal(row?.status, 'void')
  })

  it('is played once', async () => {
    const { round } = roundOf()
    await round.play(plan, opening, miners, signal)
    assert.deepEqual(await round.play(plan, opening, miners, signal), { outcome: 'played-before' })
  })
})
