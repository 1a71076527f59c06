import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { WandbDuty } from '#src/validator/duties/wandb.js'
import { openState } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { WandbRun } from '#src/validator/wandb/run.js'
import { FakeClock } from '../support/fake-clock.js'
import { historyOf, kindsOf } from '../support/wandb-reader.js'

const RUN = 17
const HISTORY = 2
const EXIT = 18
const HEADER = 21

let dir: string
let clock: FakeClock
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-wandb-'))
  clock = new FakeClock()
})
afterEach(() => rm(dir, { recursive: true }))

const start = () =>
  WandbRun.open(
    { dir, project: 'subreel', name: 'test', config: { netuid: 85 } },
    clock,
    new SeededRng('run'),
  )

async function written(): Promise<Buffer> {
  const [folder = ''] = await readdir(join(dir, 'wandb'))
  assert.match(folder, /^offline-run-\d{8}_\d{6}-[a-z0-9]{8}$/)
  const [, name = ''] = (await readdir(join(dir, 'wandb', folder))).sort()
  assert.equal(name, `run-${folder.slice(-8)}.wandb`)
  return readFile(join(dir, 'wandb', folder, name))
}

describe('a Weights & Biases run', () => {
  it('is read by what reads a file of wandb 0.31.0', async () => {
    const golden = await readFile('test/fixtures/wandb/golden.wandb')
    const [first, second] = historyOf(golden)
    assert.deepEqual([first?.['score'], first?.['kind'], first?.['_step']], [0.5, 'compression', 0])
    assert.deepEqual([second?.['score'], second?.['_step']], [0.25, 1])
    const run = await start()
    await run.log({ score: 0.5, kind: 'compression' })
    await clock.advance(1_500)
    await run.log({ score: 0.25 })
    await run.close()
    const file = await written()
    const [one, two] = historyOf(file)
    assert.deepEqual([one?.['score'], one?.['kind'], one?.['_step']], [0.5, 'compression', 0])
    assert.deepEqual([two?.['score'], two?.['_step'], two?.['_runtime']], [0.25, 1, 1.5])
    for (const kinds of [kindsOf(golden), kindsOf(file)]) {
      assert.deepEqual(kinds.slice(0, 2), [HEADER, RUN])
      assert.equal(kinds.at(-1), EXIT)
      assert.equal(kinds.filter((kind) => kind === HISTORY).length, 2)
    }
  })

  it('keeps records whole that do not fit into a block', async () => {
    const run = await start()
    const wide = Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`uid_${i}`, i / 7]))
    for (let i = 0; i < 20; i += 1) await run.log({ ...wide, pad: 'x'.repeat(i * 331) })
    await run.close()
    const steps = historyOf(await written())
    assert.equal(steps.length, 20)
    assert.ok(steps.every((step, i) => step['uid_2999'] === 2999 / 7 && step['_step'] === i))
  })

  it('gets one point for each committed round, and none twice', async () => {
    const db = await openState(':memory:')
    try {
      const rounds = new RoundStore(db, clock)
      const points: Record<string, number | string>[] = []
      const log = async (values: Record<string, number | string>) => void points.push(values)
      const duty = new WandbDuty(rounds, { log }, { netuid: 85, fromMs: clock.now() - 1 })
      assert.deepEqual(await duty.run(), { skipped: 'no round was committed' })
      for (const [roundId, score] of [
        ['a', 0.5],
        ['b', 0.25],
      ] as const) {
        await rounds.open({
          ...{ roundId, netuid: 85, kind: 'compression', block: 7, blockHash: '', plan: {} },
        })
        const row = { kind: 'compression', outcome: 'scored', reason: '' } as const
        await rounds.commit(roundId, [
          { ...row, hotkey: 'x', uid: 1, score },
          { ...row, hotkey: 'y', uid: 2, score: 0 },
        ])
      }
      await duty.run()
      await duty.run()
      assert.deepEqual(
        points.map((point) => [point['compression/best'], point['compression/mean']]),
        [
          [0.5, 0.25],
          [0.25, 0.125],
        ],
      )
      assert.equal(points[0]?.['compression/uid_1'], 0.5)
    } finally {
      await db.destroy()
    }
  })
})
