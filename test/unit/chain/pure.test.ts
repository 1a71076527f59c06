import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkServable, decodeAddress, encodeAddress } from '#src/chain/address.js'
import { classify, nameSubmitError } from '#src/chain/classify.js'
import { activityCutoff, blocksUntilNextEpoch, epochIndex, revealBlock } from '#src/chain/epoch.js'
import { isSendable, processWeightsStrict, quantise, roundHalfEven } from '#src/chain/quantise.js'
import { toUid } from '#src/protocol/units.js'

describe('axon addresses', () => {
  it('writes addresses as big-endian integers and reads them back', () => {
    assert.deepEqual(encodeAddress('1.2.3.4'), { ip: 16_909_060n, ipType: 4 })
    for (const ip of ['1.2.3.4', '127.0.0.2', '2001:db8::7', '255.255.255.254']) {
      const address = encodeAddress(ip)
      assert.equal(decodeAddress(address.ip, address.ipType), ip)
    }
  })

  it('reads 0 and impossible values as not serving', () => {
    assert.equal(decodeAddress(0n, 4), undefined)
    assert.equal(decodeAddress(1n << 40n, 4), undefined)
  })

  it('refuses exactly what the chain refuses', () => {
    const refused = [
      ['127.0.0.1', 80],
      ['0.0.0.0', 80],
      ['255.255.255.255', 80],
      ['::1', 80],
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 80],
      ['1.2.3.4', 0],
      ['1.2.3.4', 65_536],
      ['example.org', 80],
    ] as const
    for (const [ip, port] of refused) {
      assert.throws(
        () => checkServable(ip, port),
        { code: 'CHAIN_ADDRESS_REFUSED' },
        `${ip} ${port}`,
      )
    }
    for (const ip of ['127.0.0.2', '10.0.0.1', '192.168.1.1', '2001:db8::1'])
      checkServable(ip, 8091)
    assert.throws(() => checkServable('127.0.0.1', 80), /127\.0\.0\.2/)
  })
})

describe('refusals', () => {
  it('gives both forms of one refusal the same name and action', () => {
    const custom = nameSubmitError(1010, 'Custom error: 12')
    assert.equal(custom, 'ServingRateLimitExceeded')
    assert.equal(classify('ServingRateLimitExceeded').action, 'wait')
    assert.equal(classify(nameSubmitError(1010, 'Custom error: 6') ?? '').action, 'wait')
    assert.equal(classify(nameSubmitError(1010, 'Custom error: 19') ?? '').action, 'stop')
  })

  it('sorts errors into retry, wait and stop', () => {
    const expected = {
      TransactionStale: 'retry',
      TransactionPoolFull: 'retry',
      NodeRefused: 'retry',
      SettingWeightsTooFast: 'wait',
      CommittingWeightsTooFast: 'wait',
      IncorrectWeightVersionKey: 'stop',
      NeuronNoValidatorPermit: 'stop',
      NotEnoughStakeToSetWeights: 'stop',
      SomethingNew: 'stop',
    } as const
    for (const [name, action] of Object.entries(expected)) {
      assert.equal(classify(name).action, action, name)
    }
  })

  it('names what the pool says', () => {
    assert.equal(nameSubmitError(1010, 'Transaction is outdated'), 'TransactionStale')
    assert.equal(nameSubmitError(1010, 'Transaction has a bad signature'), 'TransactionBadProof')
    assert.equal(nameSubmitError(1014, ''), 'TransactionPriorityTooLow')
    assert.equal(nameSubmitError(1016, ''), 'TransactionPoolFull')
    assert.equal(nameSubmitError(-32_000, 'boom'), undefined)
  })
})

describe('epochs', () => {
  it('turns an activity cutoff in thousandths of a tempo into blocks', () => {
    assert.equal(activityCutoff(13_889, 360), 5_000)
    assert.equal(activityCutoff(1_000, 0), 1)
  })

  it('counts down to the next epoch in the modulo model', () => {
    const schedule = { kind: 'modulo', netuid: 1, tempo: 10 } as const
    for (let block = 100; block < 140; block += 1) {
      const left = blocksUntilNextEpoch(schedule, block)
      const now = epochIndex(schedule, block)
      assert.equal(epochIndex(schedule, block + left), now, `block ${block}`)
      assert.equal(epochIndex(schedule, block + left + 1), now + 1, `block ${block}`)
    }
  })

  it('lets a pending epoch come first in the stateful schedule', () => {
    const schedule = {
      kind: 'stateful',
      tempo: 100,
      lastEpochBlock: 1000,
      pendingEpochAt: 1020,
      epochIndex: 4,
      blocksSinceLastStep: 10,
    } as const
    assert.equal(blocksUntilNextEpoch(schedule, 1010), 10)
    assert.equal(blocksUntilNextEpoch({ ...schedule, pendingEpochAt: 0 }, 1010), 90)
    assert.equal(revealBlock(schedule, 1010, 1), 1020)
  })
})

describe('weights', () => {
  const uids = [0, 1, 2].map(toUid)

  it('rounds halves to even', () => {
    assert.deepEqual([0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven), [0, 2, 2, 2, 3])
  })

  it('calls zero, NaN, infinite and negative vectors not sendable', () => {
    for (const bad of [[], [0, 0], [1, Number.NaN], [1, Number.POSITIVE_INFINITY], [1, -1]]) {
      assert.equal(isSendable(bad), false, String(bad))
    }
    assert.equal(isSendable([0, 0.1]), true)
    assert.throws(() => quantise({ uids, weights: [1, Number.NaN, 0] }), {
      code: 'CHAIN_WEIGHTS_INVALID',
    })
  })

  it('prepares as bittensor 11.3: no padding, an error below the minimum, a lone self-weight passes', () => {
    const limits = { neurons: 3, minAllowedWeights: 2, maxShare: 1, selfUid: toUid(1) }
    assert.throws(() => processWeightsStrict({ uids, weights: [1, 0, 0] }, limits), {
      code: 'CHAIN_WEIGHTS_INVALID',
    })
    assert.deepEqual(processWeightsStrict({ uids, weights: [0, 1, 0] }, limits).uids, [1])
    const clipped = processWeightsStrict({ uids, weights: [8, 1, 1] }, { ...limits, maxShare: 0.5 })
    const total = clipped.weights.reduce((a, b) => a + b, 0)
    for (const weight of clipped.weights) assert.ok(weight / total <= 0.5 + 1e-6, String(weight))
  })
})
