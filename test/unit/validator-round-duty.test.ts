import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Rng } from '#src/lib/rng.js'
import { RoundDuty } from '#src/validator/duties/round-duty.js'
import { DONE, type DutyResult } from '#src/validator/duty.js'
import type { Network } from '#src/validator/network.js'
import type { RoundBlock } from '#src/validator/round-life.js'
import { FakeClock } from '../support/fake-clock.js'

const signal = new AbortController().signal
const DELAY_MS = 300_000

class Recorded extends RoundDuty {
  readonly name = 'recorded'
  readonly played: RoundBlock[] = []

  protected async play(at: RoundBlock): Promise<DutyResult> {
    this.played.push(at)
    return DONE
  }
}

function dutyOf(secret: number, delayMs = DELAY_MS) {
  const clock = new FakeClock()
  const head = { number: 1_200 }
  const network = {
    head,
    chain: { blockHash: async (block: number) => `0x${block}` },
  } as unknown as Network
  const rng: Pick<Rng, 'float'> = { float: () => secret }
  const options = { everyMs: 1_000, deadlineMs: 60_000, everyBlocks: 100, delayMs }
  const duty = new Recorded(options, { network, clock, rng })
  return { duty, clock, head, blocks: () => duty.played.map(({ block }) => block) }
}

describe('the duty of rounds', () => {
  it('begins at a time that its block does not tell, with what its block decides', async () => {
    const [soon, late] = [dutyOf(0.1), dutyOf(0.9)]
    for (const { duty, clock } of [soon, late]) {
      await duty.run(signal)
      assert.deepEqual(duty.played, [])
      await clock.advance(0.5 * DELAY_MS)
      await duty.run(signal)
    }
    assert.deepEqual([soon.blocks(), late.blocks()], [[1_200], []])
    await late.clock.advance(0.5 * DELAY_MS)
    await late.duty.run(signal)
    assert.deepEqual(late.duty.played, soon.duty.played)
  })

  it('plays each boundary once, and none twice for its delay', async () => {
    const { duty, clock, head, blocks } = dutyOf(0.5)
    for (let i = 0; i < 4; i += 1) {
      await duty.run(signal)
      await clock.advance(DELAY_MS)
      head.number += 20
    }
    head.number = 1_305
    await duty.run(signal)
    assert.deepEqual(blocks(), [1_200])
    await clock.advance(DELAY_MS)
    await duty.run(signal)
    assert.deepEqual(blocks(), [1_200, 1_300])
  })

  it('is not outrun by a fast chain: it begins when half of its blocks are over', async () => {
    const { duty, head, blocks } = dutyOf(0.99)
    await duty.run(signal)
    head.number = 1_249
    await duty.run(signal)
    assert.deepEqual(blocks(), [])
    head.number = 1_250
    await duty.run(signal)
    assert.deepEqual(blocks(), [1_200])
  })

  it('begins at its block where no delay is wanted', async () => {
    const { duty, blocks } = dutyOf(0.99, 0)
    await duty.run(signal)
    assert.deepEqual(blocks(), [1_200])
  })
})
