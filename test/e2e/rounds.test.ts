import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SeededRng } from '#src/lib/rng.js'
import { type Hotkey, toUid } from '#src/protocol/units.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { computeWeights } from '#src/scoring/weights.js'
import { blockTimeMs, LedgerState } from '#src/validator/ledger-state.js'
import { openState } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { exportState } from '#src/validator/state/transfer.js'
import { Crowd, EXPECTED, mannerOf } from '../support/crowd.js'
import { FakeClock } from '../support/fake-clock.js'
import { scratch } from '../support/miner.js'
import { NETUID, RoundRig } from '../support/round-rig.js'

const MINERS = 256
/** Enough for every manner of the crowd twice. */
const FEW = 16
const KILLS = 20

describe('rounds over sockets', () => {
  let crowd: Crowd
  let dir: string
  let remove: () => Promise<void>

  before(async () => {
    ;({ dir, remove } = await scratch())
    crowd = await Crowd.start(MINERS)
  })
  after(async () => {
    await crowd.close()
    await remove()
  })

  it('give each of 256 miners its outcome, in parallel, and leave nothing behind', async () => {
    await using rig = await RoundRig.open({ location: ':memory:', dir })
    for (const [round, kind] of (['compression', 'upscaling'] as const).entries()) {
      const result = await rig.play(round, crowd.targets, kind)
      assert.equal(result.outcome, 'committed')
      const scores = result.outcome === 'committed' ? result.scores : []
      assert.equal(scores.length, MINERS)
      for (const { uid, outcome, score } of scores) {
        assert.equal(outcome, EXPECTED[mannerOf(uid)], `uid ${uid}`)
        assert.equal(score > 0, outcome === 'scored', `uid ${uid}`)
      }
      const kept = await rig.db.selectFrom('scores').selectAll().execute()
      assert.equal(kept.length, (round + 1) * MINERS)
    }
    for await (const { key } of rig.store.list('payloads/')) assert.fail(`${key} was left behind`)
  })

  it('bring two validators to the same weights, though one of them was restarted', async () => {
    const targets = crowd.targets.slice(0, FEW)
    const paths = [join(dir, 'one.db'), join(dir, 'two.db')] as const
    const play = async (location: string, from: number, to: number) => {
      await using rig = await RoundRig.open({ location, dir })
      for (let round = from; round < to; round += 1)
        await rig.play(round, round % 2 === 0 ? targets : targets.toReversed())
      const ledger = new LedgerState(LEDGER_RULES)
      await ledger.load(rig.rounds, NETUID)
      return ledger.current
    }
    const [one] = [await play(paths[0], 0, 4)]
    await play(paths[1], 0, 2)
    const two = await play(paths[1], 2, 4)
    const weightsOf = (ledger: typeof one) => {
      const neurons = targets.map(({ hotkey, uid }) => ({
        hotkey: hotkey as Hotkey,
        uid: toUid(uid),
      }))
      const outcome = computeWeights({ ledger, neurons, nowMs: blockTimeMs(1_000) })
      assert.ok(outcome.kind === 'weights')
      return outcome.entries
    }
    const [first, second] = [weightsOf(one), weightsOf(two)]
    assert.ok(first.length > 2)
    for (const [i, { uid, weight }] of first.entries()) {
      assert.equal(second[i]?.uid, uid)
      assert.ok(Math.abs((second[i]?.weight ?? 0) - weight) < 1e-6, `uid ${uid}`)
    }
  })

  it('are whole or void wherever kill -9 strikes', async () => {
    const targets = crowd.targets.slice(0, FEW)
    const unbroken = join(dir, 'unbroken.db')
    {
      await using rig = await RoundRig.open({ location: unbroken, dir, clock: new FakeClock() })
      for (const round of [0, 1]) await rig.play(round, targets)
    }
    const whole = await exported(unbroken)
    const [firstRound] = whole.filter(({ table }) => table === 'rounds')
    const roundId = firstRound?.row['round_id']
    const voided = whole
      .filter(({ table, row }) => table !== 'scores' || row['round_id'] !== roundId)
      .map((line) =>
        line === firstRound ? { ...line, row: { ...line.row, status: 'void' } } : line,
      )
    const rng = new SeededRng('twenty kills')
    const seen = { whole: 0, void: 0 }
    for (let kill = 0; kill < KILLS; kill += 1) {
      const location = join(dir, `kill-${kill}.db`)
      await killedRound(location, targets, {
        logLines: rng.int(FEW + 2),
        afterMs: rng.int(12),
      })
      // What the daemon does when it starts.
      {
        await using rig = await RoundRig.open({ location, dir, clock: new FakeClock() })
        await rig.rounds.voidOpen(NETUID)
        if ((await rig.play(0, targets)).outcome === 'committed') {
          // Killed before it opened the round: nothing was lost that could be void.
          assert.equal((await rig.rounds.history(NETUID, 9)).length, FEW)
        }
        await rig.play(1, targets)
      }
      const after = await exported(location)
      const status = after.find(({ row }) => row['round_id'] === roundId)?.row['status']
      seen[status === 'void' ? 'void' : 'whole'] += 1
      assert.deepEqual(after, status === 'void' ? voided : whole, `kill ${kill}`)
    }
    assert.ok(seen.void > 0, 'some rounds were interrupted')
  })

  /** Plays the first round in a process of its own and kills that at the given moment. */
  async function killedRound(
    location: string,
    targets: Crowd['targets'],
    moment: { readonly logLines: number; readonly afterMs: number },
  ): Promise<void> {
    const program = new URL('../support/round-process.js', import.meta.url)
    const child = fork(program, [location, dir, '1'], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    await once(child, 'message')
    let lines = 0
    const struck = new Promise<void>((resolve) => {
      const look = () => {
        if (lines >= moment.logLines) resolve()
      }
      child.stdout?.on('data', (chunk: Buffer) => {
        lines += chunk.toString().split('\n').length - 1
        look()
      })
      child.on('message', () => resolve())
      look()
    })
    child.send(targets)
    await struck
    await new Promise((resolve) => setTimeout(resolve, moment.afterMs))
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
})

/** All rows of a database but their running numbers. */
async function exported(location: string) {
  const db = await openState(location)
  try {
    assert.deepEqual(await new RoundStore(db, new FakeClock()).voidOpen(NETUID), [])
    const lines: { table: string; row: Record<string, unknown> }[] = []
    for await (const line of exportState(db)) {
      const { table, row } = JSON.parse(line)
      const { id: _, ...rest } = row
      lines.push({ table, row: rest })
    }
    return lines
  } finally {
    await db.destroy()
  }
}
