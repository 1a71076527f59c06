import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHotkey } from '#src/protocol/units.js'
import {
  averages,
  decayed,
  EMPTY_LEDGER,
  keepOnly,
  LEDGER_RULES,
  type Ledger,
  type LedgerEntry,
  record,
  standingOf,
} from '#src/scoring/ledger.js'

const ALICE = toHotkey('5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY')
const BOB = toHotkey('5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty')

const scored = (taskId: string, score: number, more: Partial<LedgerEntry> = {}): LedgerEntry => ({
  hotkey: ALICE,
  task: 'compression',
  taskId,
  atMs: 1000,
  origin: 'synthetic',
  outcome: { kind: 'scored', score },
  ...more,
})
const fill = (scores: readonly number[]): Ledger =>
  scores.reduce((ledger, score, i) => record(ledger, scored(`t${i}`, score)), EMPTY_LEDGER)

describe('ledger', () => {
  it('moves a quarter of the way to each score times its multiplier', () => {
    const one = standingOf(fill([0.5]), ALICE, 'compression')
    assert.equal(one.accumulated, 0.25 * 0.5)
    const good = standingOf(fill([0.8]), ALICE, 'compression')
    assert.equal(good.accumulated, 0.25 * 0.8 * 1.015)
  })

  it('counts a task id once', () => {
    const once = fill([0.5])
    assert.equal(record(once, scored('t0', 0.9)), once)
  })

  it('never lowers a miner for a fault of our own', () => {
    const before = fill([0.5])
    const after = record(before, scored('t1', 0, { outcome: { kind: 'void' } }))
    const standing = standingOf(after, ALICE, 'compression')
    assert.equal(standing.accumulated, standingOf(before, ALICE, 'compression').accumulated)
    assert.equal(standing.voided, 1)
  })

  it('takes everything from a miner whose result is no smaller than its input', () => {
    const entry = scored('t9', 0, { outcome: { kind: 'scored', score: 0, rate: 1 } })
    assert.equal(standingOf(record(fill([0.9, 0.9]), entry), ALICE, 'compression').accumulated, 0)
  })

  it('reads a NaN score as 0', () => {
    assert.equal(standingOf(fill([Number.NaN]), ALICE, 'compression').accumulated, 0)
  })

  it('keeps miners apart by hotkey and by kind of task', () => {
    const ledger = record(fill([0.5]), scored('t0', 0.7, { hotkey: BOB, task: 'upscaling' }))
    assert.equal(standingOf(ledger, BOB, 'compression').scored, 0)
    assert.equal(standingOf(ledger, BOB, 'upscaling').scored, 1)
    assert.equal(standingOf(ledger, ALICE, 'compression').scored, 1)
  })

  it('halves an idle score per half-life', () => {
    const standing = standingOf(fill([0.5]), ALICE, 'compression')
    const later = standing.lastAtMs + 2 * LEDGER_RULES.halfLifeMs
    assert.equal(decayed(standing, later), standing.accumulated / 4)
    assert.equal(decayed(standing, 0), standing.accumulated)
  })

  it('shows averages over the rows it keeps', () => {
    const seen = averages(fill([0, 0.6, 0.9]), ALICE, 'compression', 1000)
    assert.equal(seen.tasks, 3)
    assert.ok(Math.abs(seen.score - 0.5) < 1e-12)
    assert.ok(Math.abs(seen.successRatio - 2 / 3) < 1e-12)
    assert.equal(seen.multipliers.penaltyScoreCount, 1)
  })

  it('keeps no more rows than asked', () => {
    const rules = { ...LEDGER_RULES, keepRows: 5 }
    let ledger = EMPTY_LEDGER
    for (let i = 0; i < 12; i += 1) ledger = record(ledger, scored(`t${i}`, 0.5), rules)
    const standing = standingOf(ledger, ALICE, 'compression')
    assert.equal(standing.rows.length, 5)
    assert.equal(standing.rows[0]?.taskId, 't11')
    assert.equal(standing.scored, 12)
  })

  it('survives a round trip through JSON', () => {
    const ledger = fill([0.1, 0.2])
    assert.deepEqual(JSON.parse(JSON.stringify(ledger)), ledger)
  })

  it('forgets who left', () => {
    const ledger = record(fill([0.5]), scored('t0', 0.7, { hotkey: BOB }))
    assert.deepEqual(Object.keys(keepOnly(ledger, [BOB]).miners), [BOB])
  })
})
