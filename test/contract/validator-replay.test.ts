import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { reasonsOf, statusReport } from '#src/validator/report.js'
import { EmissionStore } from '#src/validator/state/emissions.js'
import { MinerStore } from '#src/validator/state/miners.js'
import type { StateDatabase } from '#src/validator/state/open.js'
import { ReportStore } from '#src/validator/state/reports.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { TaskStore } from '#src/validator/state/tasks.js'
import { exportState } from '#src/validator/state/transfer.js'
import { DatabaseWeightLedger } from '#src/validator/state/weights.js'
import { Crowd } from '../support/crowd.js'
import { FakeClock } from '../support/fake-clock.js'
import { scratch } from '../support/miner.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'
import { NETUID, RoundRig } from '../support/round-rig.js'

const MINERS = 24
const ROUNDS = 5

describe('one run on libsql and on PostgreSQL', () => {
  let crowd: Crowd
  let postgres: TestPostgres
  let files: { dir: string; remove(): Promise<void> }

  before(async () => {
    files = await scratch()
    postgres = await startPostgres()
    crowd = await Crowd.start(MINERS)
  })
  after(async () => {
    await crowd.close()
    await postgres.stop()
    await files.remove()
  })

  /** A scripted life of a validator: everything that writes a table, in one order. */
  async function live(location: string) {
    const clock = new FakeClock()
    await using rig = await RoundRig.open({ location, dir: files.dir, clock })
    const { db, rounds } = rig
    const miners = new MinerStore(db, clock, NETUID)
    const neurons = crowd.targets.map(({ hotkey, uid }) => ({
      ...{ hotkey, uid, coldkey: 'c', registeredAt: 1 },
    }))
    await miners.sync(neurons)
    for (const { hotkey } of neurons.slice(1)) {
      await miners.warrant(hotkey, ['compress'])
      await miners.takesLength(hotkey, 10)
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      await rig.play(round, crowd.targets, round % 2 === 0 ? 'compression' : 'upscaling')
      await clock.advance(1_000)
    }
    await rounds.open({
      ...{
        roundId: 'open',
        netuid: NETUID,
        kind: 'compression',
        block: 1,
        blockHash: '0x',
        plan: {},
      },
    })
    await rounds.voidOpen(NETUID)
    await miners.sync(neurons.slice(2))
    await runTasks(new TaskStore(db, clock))
    await new EmissionStore(db, clock, NETUID).record(
      3,
      neurons.map(({ uid, hotkey }) => ({ uid, hotkey, emission: uid / 3, alphaStake: 7.25 })),
    )
    await new ReportStore(db, NETUID).put(
      {
        ...{ version: 1, netuid: NETUID, validator: 'v', atMs: clock.now() },
        reports: neurons.map(({ uid, hotkey }) => ({
          ...{ hotkey, kind: 'compression' },
          status: { uid, hotkey, stake: 1 / 3, is_serving: uid % 2 === 0, current_load: uid },
        })),
      },
      clock.now(),
    )
    await new DatabaseWeightLedger(db).put({
      ...{ id: 'w', hotkey: 'v', netuid: NETUID, mechanism: 0, epoch: 3, block: 30 },
      ...{ state: 'verified', method: 'set', uids: [1], values: [65_535], vectorHash: '00' },
    } as never)
    await rounds.prune(clock.now() - 4_500)
    return await summary(db)
  }

  it('leaves the same rows in every table, the same ledger and the same reports', async () => {
    const embedded = await live(join(files.dir, 'state.db'))
    const server = await live(postgres.url)
    for (const [table, rows] of embedded.tables) {
      assert.ok(rows.length > 0, `${table} was written`)
      assert.deepEqual(server.tables.get(table), rows, table)
    }
    assert.deepEqual(server, embedded)
  })
})

async function runTasks(tasks: TaskStore): Promise<void> {
  for (const taskId of ['done', 'failed', 'again']) {
    await tasks.add({
      ...{
        taskId,
        kind: 'compression',
        origin: 'organic',
        params: { a: 0.1 },
        timeoutSeconds: 1.5,
      },
    })
    await tasks.move(taskId, 'pending', 'assigned', { minerHotkey: 'm' })
  }
  await tasks.move('done', 'assigned', 'processing')
  await tasks.move('done', 'processing', 'completed', {
    resultUrl: 'https://x/y',
    fileSize: 2 ** 40,
  })
  await tasks.move('failed', 'assigned', 'failed', { errorCode: 'X', detail: 'why' })
  await tasks.recover()
}

/** Everything a validator can say of its state. */
async function summary(db: StateDatabase) {
  const tables = new Map<string, unknown[]>()
  for await (const line of exportState(db)) {
    const { table, row } = JSON.parse(line)
    tables.set(table, [...(tables.get(table) ?? []), row])
  }
  const ledger = new LedgerState(LEDGER_RULES)
  await ledger.load(new RoundStore(db, new FakeClock()), NETUID)
  return {
    tables,
    ledger: ledger.current,
    status: await statusReport(db, NETUID),
    reasons: await reasonsOf(db, NETUID, 7, 9),
  }
}
