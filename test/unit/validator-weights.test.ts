import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { signerFromUri } from 'subreel/wallet'
import { toNetuid } from '#src/protocol/units.js'
import { WEIGHTS } from '#src/scoring/weights.js'
import type { WeightOptions } from '#src/validator/duties/weights.js'
import { EmissionStore } from '#src/validator/state/emissions.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { KEYS } from '../support/axon.js'
import { FakeClock } from '../support/fake-clock.js'
import { MemoryChain } from '../support/memory-chain.js'
import { weightRig } from '../support/weight-rig.js'

const { alice, bob, charlie } = KEYS
const signal = new AbortController().signal
const netuid = toNetuid(1)

let db: StateDatabase
let chain: MemoryChain

beforeEach(async () => {
  db = await openState(':memory:')
  chain = new MemoryChain({
    neurons: [
      { hotkey: alice.address, validatorPermit: true, stake: 1_000 },
      { hotkey: bob.address },
      { hotkey: charlie.address },
    ],
  })
})
afterEach(() => db.destroy())

async function rig(options: Partial<WeightOptions> = {}) {
  const made = weightRig(db, chain, netuid, alice, options)
  chain.watchHeads((head) => made.network.sawHead(head))
  await made.sync.run(signal)
  return made
}

describe('the weight duty', () => {
  it('sets weights once an epoch and asks the chain nothing in between', async () => {
    const { duty, score } = await rig()
    score(bob.address, 1, 1, 0.5)
    let asked = 0
    const epoch = chain.epoch.bind(chain)
    chain.epoch = (id) => {
      asked += 1
      return epoch(id)
    }
    const sent: number[] = []
    for (let block = 0; block < 33; block += 1) {
      // The duty runs every second, a block takes twelve.
      for (let second = 0; second < 12; second += 1) await duty.run(signal)
      sent.push(chain.sent.length)
      chain.advance()
    }
    assert.equal(chain.sent.length, new Set(chain.sent.map(({ block }) => epochOf(block))).size)
    assert.ok(chain.sent.length >= 3, `${chain.sent.length} in three epochs`)
    assert.ok(asked <= chain.sent.length + 2, `asked for the epoch ${asked} times`)
  })

  it('waits for the block at which the chain will take weights again', async () => {
    const { duty, score } = await rig({ epochLength: 2 })
    score(bob.address, 1, 1, 0.5)
    let tries = 0
    const set = chain.setWeights.bind(chain)
    chain.setWeights = (of, request) => {
      tries += 1
      return set(of, request)
    }
    await duty.run(signal)
    for (let block = 0; block < 12; block += 1) {
      await duty.run(signal)
      chain.advance()
    }
    // Due every other block, allowed every fifth: one refusal teaches it the block.
    assert.ok(
      tries <= 2 * chain.sent.length + 1,
      `${tries} tries for ${chain.sent.length} settings`,
    )
    assert.ok(chain.sent.length >= 2)
  })

  it('tries again at the next block when the chain refuses', async () => {
    const { duty, score } = await rig()
    score(bob.address, 1, 1, 0.5)
    chain.refuseNext('TransactionPriorityTooLow', 'SettingWeightsTooFast')
    for (let i = 0; i < 3; i += 1) {
      assert.equal(chain.sent.length, 0)
      await duty.run(signal)
      await duty.run(signal)
      chain.advance()
    }
    assert.equal(chain.sent.length, 1)
  })

  for (const [name, scores] of [
    ['all zero', [0, 0]],
    ['not a number', [Number.NaN, Number.NaN]],
    ['infinite', [Number.NEGATIVE_INFINITY, Number.NaN]],
  ] as const) {
    it(`sends nothing for a ledger that is ${name}, and the last good vector once there is one`, async () => {
      const { duty, score } = await rig()
      const poison = (block: number) => {
        for (const [i, value] of scores.entries())
          score([bob, charlie][i]?.address ?? '', i + 1, block, value)
      }
      poison(1)
      await duty.run(signal)
      assert.equal(chain.sent.length, 0)
      score(charlie.address, 2, 2, 0.5)
      chain.advance()
      await duty.run(signal)
      assert.deepEqual(chain.sent[0]?.uids, [2])
      // From now on nobody scores; the standing fades but a vector of zeros must never come of it.
      for (let epoch = 0; epoch < 40; epoch += 1) {
        poison(100 + epoch)
        chain.advance(11)
        await duty.run(signal)
      }
      assert.ok(chain.sent.length > 30)
      for (const { values } of chain.sent) {
        assert.ok(values.length > 0 && values.every((value) => value > 0), values.join())
      }
    })
  }

  it('repeats no weight of a uid that somebody else has by now', async () => {
    const { sync, duty, score } = await rig()
    score(bob.address, 1, 1, 0.5)
    score(charlie.address, 2, 1, 0.5)
    await duty.run(signal)
    assert.deepEqual(chain.sent[0]?.uids, [1, 2])
    chain.advance(11)
    for (const [uid, name] of [
      [1, '//Dave'],
      [2, '//Eve'],
    ] as const) {
      chain.replace(uid, { hotkey: signerFromUri(name).address })
      await sync.run(signal)
      const before = chain.sent.length
      await duty.run(signal)
      chain.advance(11)
      const sent = chain.sent.slice(before).map(({ uids }) => uids)
      assert.deepEqual(sent, uid === 1 ? [[2]] : [], 'charlie alone, then nobody')
    }
  })

  it('sends nothing on a subnet without another miner, and the one miner all', async () => {
    chain = new MemoryChain({ neurons: [{ hotkey: alice.address, validatorPermit: true }] })
    const alone = await rig()
    alone.score(bob.address, 1, 1, 0.5)
    await alone.duty.run(signal)
    assert.equal(chain.sent.length, 0)

    chain = new MemoryChain({
      neurons: [{ hotkey: alice.address, validatorPermit: true }, { hotkey: bob.address }],
    })
    const two = await rig()
    two.score(bob.address, 1, 1, 0.001)
    await two.duty.run(signal)
    assert.deepEqual(chain.sent[0]?.uids, [1])
    assert.ok(chain.sent[0]?.values.every((value) => value > 0))
  })

  it('gives more to who kept its emission, where the policy says so', async () => {
    const { duty, score } = await rig({ config: { ...WEIGHTS, liquidationFactor: 5 } })
    const emissions = new EmissionStore(db, new FakeClock(), netuid)
    for (let epoch = 0; epoch < 3; epoch += 1) {
      await emissions.record(epoch, [
        { uid: 1, hotkey: bob.address, emission: 1, alphaStake: 10 + epoch },
        { uid: 2, hotkey: charlie.address, emission: 1, alphaStake: 10 },
      ])
    }
    score(bob.address, 1, 1, 0.5)
    score(charlie.address, 2, 1, 0.5)
    await duty.run(signal)
    const [bobs = 0, charlies = 0] = chain.sent[0]?.values ?? []
    assert.ok(Math.abs(bobs / charlies - 6) < 0.01, `${bobs} to ${charlies}`)
  })

  it('never pays its own hotkey', async () => {
    const { duty, score } = await rig()
    score(alice.address, 0, 1, 1)
    score(bob.address, 1, 1, 0.5)
    await duty.run(signal)
    assert.deepEqual(chain.sent[0]?.uids, [1])
  })
})

const epochOf = (block: number) => Math.floor((block + netuid + 1) / 11)
