import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type EpochSchedule, revealRound } from '#src/chain/epoch.js'

// Golden: bittensor_drand 2.0.0 (stateful schedule) and 1.3.0 (modulo model).
interface Case {
  netuid: number
  tempo: number
  last_epoch_block: number
  pending_epoch_at: number
  subnet_epoch_index: number
  blocks_since_last_step: number
  current_block: number
  subnet_reveal_period_epochs: number
  block_time: number
  now_unix: number
  reveal_round: number
}
const file = new URL('../../../test/fixtures/timelock/reveal-rounds.json', import.meta.url)
const golden: { stateful: Case[]; legacy: Case[] } = JSON.parse(readFileSync(file, 'utf8'))

function assertRounds(cases: Case[], scheduleOf: (item: Case) => EpochSchedule): void {
  cases.forEach((item, i) => {
    const round = revealRound(
      scheduleOf(item),
      item.current_block,
      item.subnet_reveal_period_epochs,
      item.block_time,
      item.now_unix,
    )
    assert.equal(round, item.reveal_round, `case ${i}: ${JSON.stringify(item)}`)
  })
}

describe('reveal rounds as bittensor_drand computes them', () => {
  it('agrees on 120 states of the stateful schedule', () => {
    assert.equal(golden.stateful.length, 120)
    assertRounds(golden.stateful, (item) => ({
      kind: 'stateful',
      tempo: item.tempo,
      lastEpochBlock: item.last_epoch_block,
      pendingEpochAt: item.pending_epoch_at,
      epochIndex: item.subnet_epoch_index,
      blocksSinceLastStep: item.blocks_since_last_step,
    }))
  })

  it('agrees on 60 states of the modulo model', () => {
    assert.equal(golden.legacy.length, 60)
    assertRounds(golden.legacy, ({ netuid, tempo }) => ({ kind: 'modulo', netuid, tempo }))
  })
})
