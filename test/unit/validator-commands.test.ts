import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { runCli } from '#src/cli/cli.js'
import { openState } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { FakeClock } from '../support/fake-clock.js'
import { recordOf } from '../support/validator-fakes.js'

const ROUNDS = 20

describe('the verbs that read the validator', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'subreel-verbs-'))
    const db = await openState(join(dir, 'validator.db'))
    const clock = new FakeClock()
    const rounds = new RoundStore(db, clock)
    for (let i = 0; i < ROUNDS; i += 1) {
      const roundId = `r${i}`
      const kind = 'compression'
      await rounds.open({ roundId, netuid: 85, kind, block: i, blockHash: '', plan: {} })
      await rounds.commit(roundId, [
        {
          hotkey: 'x',
          uid: 1,
          kind,
          outcome: 'scored',
          score: 0.5,
          reason: 'as asked',
          record: recordOf(0.5),
        },
        { hotkey: 'y', uid: 2, kind, outcome: 'refused', score: 0, reason: 'busy' },
      ])
      await clock.advance(1_000)
    }
    await db.destroy()
  })
  after(() => rm(dir, { recursive: true }))

  const subreel = (...words: string[]) => run(dir, words)

  async function run(dataDir: string, words: readonly string[]) {
    const out: string[] = []
    const err: string[] = []
    const io = {
      out: (line: string) => out.push(line),
      err: (line: string) => err.push(line),
      env: {},
    }
    const { signal } = new AbortController()
    const code = await runCli([...words, `--neuron.data_dir=${dataDir}`], { ...io, signal })
    return { code, out, err }
  }

  it('tell how the validator stands', async () => {
    const { code, out } = await subreel('status', '--netuid', '85')
    assert.equal(code, 0)
    assert.match(out.join('\n'), /rounds: 20 committed/)
    assert.match(out.join('\n'), /1 +compression +0\.\d+ +0\.5000 +20 +100 %/)
  })

  it('tell why a miner has its score, and 1 for one that was never asked', async () => {
    const { code, out } = await subreel('why', '2', '--netuid', '85')
    assert.equal(code, 0)
    assert.match(out[0] ?? '', /compression +0\.0000 +refused: busy$/)
    assert.equal((await subreel('why', '9', '--netuid', '85')).code, 1)
    assert.equal((await subreel('why', 'nine', '--netuid', '85')).code, 2)
  })

  it('give every score as a line of JSON, oldest first, with its record when asked', async () => {
    const { code, out } = await subreel('scores', '--netuid', '85')
    assert.equal(code, 0)
    const lines = out.map((line) => JSON.parse(line))
    assert.equal(lines.length, 2 * ROUNDS)
    assert.deepEqual([lines[0].roundId, lines[0].uid, lines[0].record], ['r0', 1, undefined])
    assert.deepEqual([lines.at(-1).roundId, lines.at(-1).reason], [`r${ROUNDS - 1}`, 'busy'])
    const [first] = (await subreel('scores', '--netuid', '85', '--records')).out
    assert.deepEqual(JSON.parse(first ?? '').record, JSON.parse(JSON.stringify(recordOf(0.5))))
    assert.deepEqual((await subreel('scores', '--netuid', '85', '--hours', '1')).out, [])
    assert.equal((await subreel('scores', '--netuid', '85', '--hours', '0')).code, 2)
  })

  it('say where there is no database, and make none', async () => {
    const empty = join(dir, 'empty')
    for (const words of [['status'], ['why', '2'], ['scores']]) {
      const { code, err } = await run(empty, [...words, '--netuid=85'])
      assert.equal(code, 1, words[0])
      assert.match(err.join('\n'), /^STATE_ABSENT.*empty\/validator\.db/, words[0])
    }
    assert.equal(existsSync(empty), false)
  })
})
