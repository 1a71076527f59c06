import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { sql } from 'kysely'
import type { WeightEntry } from '#src/chain/index.js'
import { toHotkey, toNetuid } from '#src/protocol/units.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { LeaseDuty } from '#src/validator/duties/lease.js'
import { ValidatorError } from '#src/validator/errors.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { reasonsOf, statusReport } from '#src/validator/report.js'
import { EmissionStore } from '#src/validator/state/emissions.js'
import { holderName } from '#src/validator/state/holder.js'
import { Lease } from '#src/validator/state/lease.js'
import { MinerStore } from '#src/validator/state/miners.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { ReportStore } from '#src/validator/state/reports.js'
import { RoundStore, type ScoreRow } from '#src/validator/state/rounds.js'
import { mayMove, TASK_EDGES, type TaskStatus, TaskStore } from '#src/validator/state/tasks.js'
import { exportState, importState } from '#src/validator/state/transfer.js'
import { DatabaseWeightLedger } from '#src/validator/state/weights.js'
import { FakeClock } from '../support/fake-clock.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'

const round = (roundId: string) => ({
  roundId,
  netuid: 85,
  kind: 'compression',
  block: 100,
  blockHash: '0xab',
  plan: { clip: 1 },
})
const scored = (hotkey: string, score: number): ScoreRow => ({
  hotkey,
  uid: 1,
  kind: 'compression',
  outcome: 'scored',
  score,
  reason: 'fine',
})

async function refusedWith(code: string, run: Promise<unknown>): Promise<void> {
  await assert.rejects(run, (error) => error instanceof ValidatorError && error.code === code)
}

const WEIGHTS_SET: WeightEntry = {
  ...{
    id: 'a/85/0/7',
    hotkey: toHotkey('5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'),
    netuid: toNetuid(85),
    mechanism: 0,
    epoch: 1,
  },
  ...{ method: 'set', block: 7, uids: [1], values: [65_535], versionKey: '0', vectorHash: '00' },
  state: 'verified',
}
const MEASURED = {
  ...{ hotkey: 'a', kind: 'compression' },
  status: {
    uid: 1,
    hotkey: 'a',
    stake: 1,
    is_serving: true,
    performance_score: 0.5,
    current_load: 0,
  },
}

const TABLES = [
  ...['scores', 'rounds', 'task_history', 'tasks', 'miners', 'leases'],
  ...['emission_snapshots', 'validator_reports', 'weight_sets'],
]

/** The contract, for a database that `location` names; `reset` empties it between tests. */
function suite(name: string, location: () => string): void {
  describe(`validator state on ${name}`, () => {
    let db: StateDatabase
    let clock: FakeClock
    let rounds: RoundStore
    let tasks: TaskStore
    let miners: MinerStore

    beforeEach(async () => {
      db = await openState(location())
      clock = new FakeClock()
      rounds = new RoundStore(db, clock)
      tasks = new TaskStore(db, clock)
      miners = new MinerStore(db, clock, 85)
      for (const table of TABLES) {
        await sql`delete from ${sql.table(table)}`.execute(db)
      }
    })

    afterEach(() => db.destroy())

    it('keeps what it had when it is opened again', async () => {
      await rounds.open(round('r'))
      await rounds.commit('r', [scored('a', 0.5)])
      await db.destroy()
      db = await openState(location())
      assert.equal((await new RoundStore(db, clock).history(85, 10)).length, 1)
    })

    it('plays a round once', async () => {
      assert.equal(await rounds.open(round('r')), true)
      assert.equal(await rounds.open(round('r')), false)
    })

    it('counts scores only of committed rounds, newest first and at most n for each miner', async () => {
      for (let i = 0; i < 4; i += 1) {
        await rounds.open(round(`r${i}`))
        await rounds.commit(`r${i}`, [scored('a', i / 10), scored('b', 1)])
      }
      await rounds.open(round('open'))
      const history = await rounds.history(85, 3)
      assert.deepEqual(
        history.filter((row) => row.hotkey === 'a').map((row) => row.score),
        [0.3, 0.2, 0.1],
      )
      assert.equal(history.filter((row) => row.hotkey === 'b').length, 3)
      assert.deepEqual(await rounds.history(99, 3), [])
    })

    it('brings back a running score whole, however few rows averages are made of', async () => {
      const rules = { ...LEDGER_RULES, keepRows: 10 }
      const running = new LedgerState(rules)
      for (let i = 0; i < 40; i += 1) {
        const rows = [scored('a', (i % 7) / 7)]
        await rounds.open({ ...round(`r${i}`), block: 100 * i })
        await rounds.commit(`r${i}`, rows)
        running.add(`r${i}`, 100 * i, rows)
      }
      const restarted = new LedgerState(rules)
      await restarted.load(rounds, 85)
      assert.deepEqual(restarted.current, running.current)
    })

    it('never counts a fault of ours', async () => {
      await rounds.open(round('r'))
      await rounds.commit('r', [{ ...scored('a', 0), outcome: 'infrastructure' }])
      assert.deepEqual(await rounds.history(85, 10), [])
    })

    it('commits a round whole or not at all', async () => {
      await rounds.open(round('r'))
      await assert.rejects(
        rounds.commit('r', [scored('a', 1), scored('a', 1)]),
        'the same miner twice',
      )
      assert.deepEqual(await rounds.history(85, 10), [])
      await rounds.commit('r', [scored('a', 1)])
      assert.equal((await rounds.history(85, 10)).length, 1)
      await refusedWith('STATE_ROUND_CLOSED', rounds.commit('r', [scored('b', 1)]))
    })

    it('voids what a crash left open, and a void round cannot be committed', async () => {
      await rounds.open(round('r'))
      assert.deepEqual(await rounds.voidOpen(85), ['r'])
      await refusedWith('STATE_ROUND_CLOSED', rounds.commit('r', [scored('a', 1)]))
    })

    it('forgets rounds older than the retention', async () => {
      await rounds.open(round('old'))
      await rounds.commit('old', [scored('a', 1)])
      await clock.advance(1000)
      await rounds.open(round('new'))
      await rounds.commit('new', [scored('a', 0.5)])
      assert.equal(await rounds.prune(clock.now()), 1)
      assert.deepEqual(
        (await rounds.history(85, 10)).map((row) => row.score),
        [0.5],
      )
    })

    it('forgets old tasks of users that have ended, and none that still runs', async () => {
      for (const taskId of ['over', 'runs']) {
        await tasks.add({ taskId, kind: 'k', origin: 'organic', params: {}, timeoutSeconds: 1 })
        await tasks.move(taskId, 'pending', 'assigned')
      }
      await tasks.move('over', 'assigned', 'failed')
      assert.equal(await tasks.prune(clock.now()), 0, 'it is not old yet')
      await clock.advance(1000)
      assert.equal(await tasks.prune(clock.now()), 1)
      assert.equal(await tasks.get('over'), undefined)
      assert.deepEqual(await tasks.history('over'), [])
      assert.equal((await tasks.history('runs')).length, 2)
    })

    it('moves a task along its edges and leaves one history row each', async () => {
      const task = {
        taskId: 't',
        kind: 'upscaling',
        origin: 'organic',
        params: { a: 1 },
        timeoutSeconds: 60,
      } as const
      assert.equal(await tasks.add(task), true)
      assert.equal(await tasks.add(task), false)
      await tasks.move('t', 'pending', 'assigned', { minerHotkey: 'a' })
      await tasks.move('t', 'assigned', 'pending', { detail: 'refused' })
      await tasks.move('t', 'pending', 'assigned', { minerHotkey: 'b' })
      await tasks.move('t', 'assigned', 'processing')
      await tasks.move('t', 'processing', 'completed', { resultUrl: 'https://x/y' })
      const done = await tasks.get('t')
      assert.deepEqual(
        [done?.status, done?.minerHotkey, done?.retryCount, done?.resultUrl],
        ['completed', 'b', 1, 'https://x/y'],
      )
      assert.deepEqual(
        (await tasks.history('t')).map((row) => row.status),
        ['pending', 'assigned', 'pending', 'assigned', 'processing', 'completed'],
      )
    })

    it('refuses every edge that is not in the table', async () => {
      await tasks.add({ taskId: 't', kind: 'k', origin: 'organic', params: {}, timeoutSeconds: 1 })
      const statuses = Object.keys(TASK_EDGES) as TaskStatus[]
      for (const to of statuses.filter((status) => !mayMove('pending', status))) {
        await refusedWith('STATE_EDGE_REFUSED', tasks.move('t', 'pending', to))
      }
      await refusedWith('STATE_EDGE_REFUSED', tasks.move('t', 'assigned', 'processing'))
    })

    it('lets one of two distributors have a task', async () => {
      await tasks.add({ taskId: 't', kind: 'k', origin: 'organic', params: {}, timeoutSeconds: 1 })
      const both = await Promise.allSettled([
        tasks.move('t', 'pending', 'assigned'),
        tasks.move('t', 'pending', 'assigned'),
      ])
      assert.equal(both.filter((run) => run.status === 'fulfilled').length, 1)
    })

    it('gives tasks by priority, the oldest first within one', async () => {
      const add = async (taskId: string, priority: string) => {
        const row = sql`insert into tasks (task_id, kind, params, priority, created_at)`
        await sql`${row} values (${taskId}, 'k', '{}', ${priority}, ${clock.now()})`.execute(db)
        await clock.advance(1)
      }
      for (const priority of ['low', 'normal', 'soon', 'high', 'urgent'])
        await add(priority, priority)
      await sql`insert into tasks (task_id, kind, params, created_at)
        values ('none', 'k', 'no JSON', ${clock.now()})`.execute(db)
      const waiting = await tasks.pending(10)
      const ids = waiting.map(({ taskId }) => taskId)
      assert.deepEqual(ids, ['urgent', 'high', 'normal', 'soon', 'none', 'low'])
      assert.equal(waiting[4]?.params, undefined)
      assert.equal((await tasks.pending(1))[0]?.taskId, 'urgent')
    })

    it('dispatches a row that was inserted by hand', async () => {
      await sql`insert into tasks (task_id, kind, params) values ('by-hand', 'upscaling', '{"url":"https://x/y"}')`.execute(
        db,
      )
      const [task] = await tasks.pending(10)
      assert.deepEqual(
        [task?.taskId, task?.origin, task?.params],
        ['by-hand', 'organic', { url: 'https://x/y' }],
      )
    })

    it('puts tasks that a crash left with a miner back', async () => {
      await tasks.add({ taskId: 't', kind: 'k', origin: 'organic', params: {}, timeoutSeconds: 1 })
      await tasks.move('t', 'pending', 'assigned')
      assert.equal(await tasks.recover(), 1)
      assert.equal((await tasks.get('t'))?.status, 'pending')
    })

    it('starts a uid fresh when a new hotkey has it, and a hotkey when it registers again', async () => {
      const neuron = { hotkey: 'a', uid: 1, coldkey: 'c', registeredAt: 10 }
      await miners.sync([neuron])
      await miners.warrant('a', ['upscale', 'compress'])
      await miners.takesLength('a', 10)
      assert.deepEqual((await miners.active())[0]?.kinds, ['upscale', 'compress'])
      await miners.sync([neuron])
      assert.deepEqual(
        (await miners.active())[0]?.kinds,
        ['upscale', 'compress'],
        'an unchanged neuron keeps its warrant',
      )
      await miners.sync([{ ...neuron, hotkey: 'b' }])
      assert.deepEqual(
        (await miners.active()).map((miner) => [miner.hotkey, miner.kinds]),
        [['b', undefined]],
      )
      await miners.sync([{ ...neuron, registeredAt: 20 }])
      assert.deepEqual(
        (await miners.active()).map((miner) => [miner.hotkey, miner.kinds]),
        [['a', undefined]],
      )
    })

    it('writes an epoch of emissions once, and says who kept how much of it', async () => {
      const emissions = new EmissionStore(db, clock, 85)
      const at = (epoch: number, kept: number) => [
        { uid: 0, hotkey: 'keeps', emission: 10, alphaStake: 100 + 10 * epoch },
        { uid: 1, hotkey: 'sells', emission: 10, alphaStake: 100 + kept * epoch },
      ]
      for (let epoch = 0; epoch < 12; epoch += 1) await emissions.record(epoch, at(epoch, 2.5))
      await emissions.record(11, at(500, 500))
      await emissions.record(11, [{ uid: 2, hotkey: 'new', emission: 1, alphaStake: 1 }])
      assert.deepEqual([...(await emissions.retained())].sort(), [
        ['keeps', 1],
        ['sells', 0.25],
      ])
      await emissions.record(120, at(120, 2.5))
      const left = await db.selectFrom('emission_snapshots').select('epoch').distinct().execute()
      assert.deepEqual(left.length, 1, 'old epochs are forgotten')
      assert.deepEqual(await new EmissionStore(db, clock, 1).retained(), new Map())
    })

    it('gives the lease to one holder until it expires', async () => {
      const one = new Lease(db, clock, 'hotkey', 'one')
      const two = new Lease(db, clock, 'hotkey', 'two')
      await one.take()
      await one.take()
      await refusedWith('VALIDATOR_LEASE_HELD', two.take())
      await clock.advance(91_000)
      await two.take()
      await refusedWith('VALIDATOR_LEASE_HELD', one.take())
      await two.release()
      await one.take()
    })

    it('ends a validator that was held up until another had its lease', async () => {
      const lost: string[] = []
      const one = new Lease(db, clock, 'hotkey', 'one')
      const duty = new LeaseDuty(one, ({ code }) => lost.push(code))
      await one.take()
      await duty.run()
      await clock.advance(91_000)
      await duty.run()
      assert.deepEqual(lost, [], 'nobody else wanted it')
      await clock.advance(91_000)
      await new Lease(db, clock, 'hotkey', 'two').take()
      await refusedWith('VALIDATOR_LEASE_HELD', duty.run())
      assert.deepEqual(lost, ['VALIDATOR_LEASE_HELD'])
    })

    it('takes the lease of a process that is gone at once, and waits for one that may be', async () => {
      const dead = spawnSync(process.execPath, ['-e', '0'])
      const [where, , id] = holderName().split(' ')
      const nobody = () => assert.fail('nothing to wait for')
      const mine = new Lease(db, clock, 'crash', holderName())
      const { signal } = new AbortController()
      await new Lease(db, clock, 'crash', `${where} ${dead.pid} ${id}`).take()
      await mine.takeAtStart(signal, nobody)
      await mine.release()

      await new Lease(db, clock, 'crash', 'elsewhere').take()
      const waits: string[] = []
      const starting = mine.takeAtStart(signal, (why) => waits.push(why))
      while (waits.length === 0) await new Promise((resolve) => setImmediate(resolve))
      for (let i = 0; i < 50; i += 1) {
        await clock.advance(2_000)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await starting
      await mine.release()

      const alive = new Lease(db, clock, 'crash', 'elsewhere')
      await alive.take()
      const refused = refusedWith(
        'VALIDATOR_LEASE_HELD',
        mine.takeAtStart(signal, () => {}),
      )
      for (let i = 0; i < 12; i += 1) {
        await clock.advance(2_000)
        await new Promise((resolve) => setTimeout(resolve, 5))
        if (i === 9) await alive.take()
      }
      await refused
    })

    it('moves to another database and back as JSON lines, whole or not at all', async () => {
      await rounds.open(round('r'))
      await rounds.commit('r', [scored('a', 0.5), scored('b', 0.25)])
      await tasks.add({
        taskId: 't',
        kind: 'k',
        origin: 'organic',
        params: { a: 1 },
        timeoutSeconds: 1,
      })
      await miners.sync([{ hotkey: 'a', uid: 1, coldkey: 'c', registeredAt: 10 }])
      await new EmissionStore(db, clock, 85).record(1, [
        { uid: 0, hotkey: 'a', emission: 0.1, alphaStake: 1 / 3 },
      ])
      await new DatabaseWeightLedger(db).put(WEIGHTS_SET)
      await new ReportStore(db, 85).put(
        { version: 1, netuid: 85, validator: 'v', atMs: clock.now(), reports: [MEASURED] },
        clock.now(),
      )
      const lines: string[] = []
      for await (const line of exportState(db)) lines.push(line)
      const tables = new Set(lines.map((line) => JSON.parse(line).table))
      assert.equal(tables.size, 8, 'a row of every table that is moved')
      const other = await openState(':memory:')
      try {
        const from = (some: readonly string[]) =>
          (async function* () {
            yield* some
          })()
        await assert.rejects(importState(other, from([...lines, 'not json'])))
        assert.equal(await importState(other, from(lines)), lines.length)
        const back: string[] = []
        for await (const line of exportState(other)) back.push(line)
        assert.deepEqual(back, lines)
        assert.deepEqual(
          (await new RoundStore(other, clock).history(85, 9)).map((row) => [row.hotkey, row.score]),
          (await rounds.history(85, 9)).map((row) => [row.hotkey, row.score]),
        )
        await refusedWith('STATE_IMPORT_REFUSED', importState(other, from(lines)))
        assert.deepEqual(
          (await reasonsOf(other, 85, 1, 5)).map(({ score }) => score),
          [0.5],
          'of who has the uid, not of who had it',
        )
        const report = await statusReport(other, 85)
        assert.deepEqual(
          [report.rounds, report.tasks, report.miners.length],
          [{ committed: 1 }, { pending: 1 }, 2],
        )
      } finally {
        await other.destroy()
      }
    })

    it('refuses a database of a newer version', async () => {
      await sql`insert into kysely_migration (name, timestamp) values ('9999-future', 'x')`.execute(
        db,
      )
      await refusedWith('STATE_NEWER', openState(location()))
      await sql`delete from kysely_migration where name = '9999-future'`.execute(db)
    })
  })
}

let dir = ''
let postgres: TestPostgres | undefined

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-state-'))
  postgres = await startPostgres()
})

after(async () => {
  await postgres?.stop()
  await rm(dir, { recursive: true, force: true })
})

suite('libsql', () => join(dir, 'state.db'))
suite('PostgreSQL', () => postgres?.url ?? '')
