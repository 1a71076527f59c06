import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Chain } from '#src/chain/index.js'
import { toBlockNumber, toNetuid, toRao, toUid } from '#src/protocol/units.js'
import { signerFromUri } from '#src/wallet/index.js'
import {
  advance,
  clientOf,
  miner,
  outsider,
  startTestnet,
  validator,
} from '../support/chain-harness.js'
import { MemoryChain } from '../support/memory-chain.js'

/** A chain of one subnet: //Alice validates (uid 0), //Bob and //Charlie mine, rate limit 10, tempo 20. */
interface Harness extends AsyncDisposable {
  readonly chain: Chain
  advance(blocks: number): Promise<void>
}

const netuid = toNetuid(1)
const uids = [toUid(1), toUid(2)]
const BURN = 100_000_000n

async function inMemory(): Promise<Harness> {
  const chain = new MemoryChain({
    neurons: [
      { hotkey: validator.address, stake: 1_000, validatorPermit: true },
      { hotkey: miner.address },
      { hotkey: signerFromUri('//Charlie').address },
    ],
    hyperparameters: { tempo: 20, weightsRateLimit: 10, burn: toRao(BURN) },
    balances: { [validator.address]: 10n ** 15n },
  })
  chain.advance(30)
  return {
    chain,
    advance: async (blocks) => chain.advance(blocks),
    [Symbol.asyncDispose]: () => chain.close(),
  }
}

async function overSockets(runtime: 218 | 393 | 425 | 446): Promise<Harness> {
  const net = await startTestnet({}, { runtime })
  net.advance(30)
  const chain = clientOf([net])
  return {
    chain,
    advance: (blocks) => advance(chain, net, blocks),
    [Symbol.asyncDispose]: async () => {
      await chain.close()
      await net.close()
    },
  }
}

const backends: readonly (readonly [string, () => Promise<Harness>])[] = [
  ['the chain in memory', inMemory],
  ['the client over sockets, runtime 446', () => overSockets(446)],
  ['the client over sockets, runtime 425', () => overSockets(425)],
  ['the client over sockets, runtime 393', () => overSockets(393)],
  ['the client over sockets, runtime 218', () => overSockets(218)],
]

for (const [name, open] of backends) {
  describe(`Chain contract: ${name}`, () => {
    it('tells the head, announces new ones and knows the hashes of blocks', async () => {
      await using harness = await open()
      const { chain } = harness
      const before = await chain.head()
      const seen: number[] = []
      const watching = chain.watchHeads(({ number }) => seen.push(number))
      await harness.advance(2)
      watching.close()
      const after = await chain.head()
      assert.equal(after.number, before.number + 2)
      assert.equal(seen.at(-1), after.number)
      assert.equal(await chain.blockHash(after.number), after.hash)
      assert.equal(await chain.blockHash(toBlockNumber(after.number + 1_000)), undefined)
    })

    it('reads a subnet at one block, and refuses one that is not there', async () => {
      await using harness = await open()
      const { chain } = harness
      const metagraph = await chain.metagraph(netuid)
      assert.equal(metagraph.blockHash, await chain.blockHash(metagraph.block))
      assert.deepEqual(
        metagraph.neurons.map(({ uid, validatorPermit, axon }) => [uid, validatorPermit, axon]),
        [
          [0, true, undefined],
          [1, false, undefined],
          [2, false, undefined],
        ],
      )
      assert.equal(metagraph.neurons[0]?.hotkey, validator.address)
      assert.ok(Math.abs((metagraph.neurons[0]?.stake ?? 0) - 1_000) < 1)
      const rules = await chain.hyperparameters(netuid)
      assert.equal(rules.tempo, 20)
      assert.equal(rules.weightsRateLimit, 10)
      assert.equal(rules.commitRevealEnabled, false)
      const epoch = await chain.epoch(netuid)
      assert.ok(epoch.blocksUntilNext >= 0 && epoch.blocksUntilNext <= 20)
      await assert.rejects(chain.metagraph(toNetuid(77)), { code: 'CHAIN_SUBNET_UNKNOWN' })
      await assert.rejects(chain.hyperparameters(toNetuid(77)), { code: 'CHAIN_SUBNET_UNKNOWN' })
    })

    it('announces an axon once, keeps the rate limit and refuses impossible addresses', async () => {
      await using harness = await open()
      const { chain } = harness
      const request = { netuid, ip: '127.0.0.2', port: 8091, version: 10_005_000 }
      assert.equal((await chain.serveAxon(miner, request)).outcome, 'included')
      const axon = (await chain.metagraph(netuid)).neurons[1]?.axon
      assert.deepEqual(axon, { ip: '127.0.0.2', port: 8091, version: 10_005_000, protocol: 4 })
      assert.equal((await chain.serveAxon(miner, request)).outcome, 'unchanged')
      const moved = await chain.serveAxon(miner, { ...request, port: 8092 })
      assert.ok(moved.outcome === 'refused')
      assert.equal(moved.error, 'ServingRateLimitExceeded')
      assert.equal(moved.action, 'wait')
      await harness.advance((moved.retryAt ?? 0) - (await chain.head()).number)
      assert.equal((await chain.serveAxon(miner, { ...request, port: 8092 })).outcome, 'included')
      await assert.rejects(chain.serveAxon(miner, { ...request, ip: '127.0.0.1' }), {
        code: 'CHAIN_ADDRESS_REFUSED',
      })
      const stranger = await chain.serveAxon(outsider, request)
      assert.ok(stranger.outcome === 'refused' && stranger.action === 'stop')
    })

    it('announces an IPv6 address, and shows it as it was written', async () => {
      await using harness = await open()
      const { chain } = harness
      const request = { netuid, ip: '2001:db8::7', port: 8091, version: 10_005_000 }
      assert.equal((await chain.serveAxon(miner, request)).outcome, 'included')
      const axon = (await chain.metagraph(netuid)).neurons[1]?.axon
      assert.deepEqual(axon, { ip: '2001:db8::7', port: 8091, version: 10_005_000, protocol: 4 })
      assert.equal((await chain.serveAxon(miner, request)).outcome, 'unchanged')
    })

    it('sets weights once per window and reads them back', async () => {
      await using harness = await open()
      const { chain } = harness
      const request = { netuid, uids, weights: [0.25, 0.75] }
      const first = await chain.setWeights(validator, request)
      assert.ok(first.outcome === 'included')
      assert.equal(first.verified, true)
      assert.equal(first.method, 'set')
      assert.deepEqual(
        [...(await chain.weights(netuid, toUid(0)))],
        [
          [1, 21_845],
          [2, 65_535],
        ],
      )
      const again = await chain.setWeights(validator, request)
      assert.ok(again.outcome === 'refused')
      assert.equal(again.error, 'SettingWeightsTooFast')
      assert.equal(again.retryAt, first.block + 10)
      await harness.advance(10)
      assert.equal((await chain.setWeights(validator, request)).outcome, 'included')
    })

    it('never sends zeros: the last good vector goes instead, or nothing', async () => {
      await using harness = await open()
      const { chain } = harness
      for (const weights of [[0, 0], [], [Number.NaN, 1], [Number.POSITIVE_INFINITY, 1], [-1, 1]]) {
        const request = { netuid, uids: uids.slice(0, weights.length), weights }
        const nothing = await chain.setWeights(validator, request)
        assert.ok(nothing.outcome === 'refused', String(weights))
        assert.equal(nothing.error, 'WeightsEmpty', String(weights))
      }
      await chain.setWeights(validator, { netuid, uids, weights: [1, 3] })
      const good = [...(await chain.weights(netuid, toUid(0)))]
      await harness.advance(10)
      const zeros = await chain.setWeights(validator, { netuid, uids, weights: [0, 0] })
      assert.equal(zeros.outcome, 'included')
      assert.deepEqual([...(await chain.weights(netuid, toUid(0)))], good)
    })

    it('refuses weights of who may not set them, and malformed ones', async () => {
      await using harness = await open()
      const { chain } = harness
      const request = { netuid, uids, weights: [1, 1] }
      const stranger = await chain.setWeights(outsider, request)
      assert.ok(stranger.outcome === 'refused')
      assert.deepEqual([stranger.error, stranger.action], ['HotKeyNotRegisteredInSubNet', 'stop'])
      const permitless = await chain.setWeights(miner, request)
      assert.ok(permitless.outcome === 'refused')
      assert.deepEqual([permitless.error, permitless.action], ['NeuronNoValidatorPermit', 'stop'])
      for (const bad of [
        { netuid, uids, weights: [1] },
        { netuid, uids: [toUid(1), toUid(1)], weights: [1, 1] },
        { netuid, uids: [toUid(300)], weights: [1] },
      ]) {
        await assert.rejects(
          chain.setWeights(validator, bad),
          { code: 'CHAIN_WEIGHTS_INVALID' },
          JSON.stringify(bad),
        )
      }
    })

    it('registers within the price limit, once', async () => {
      await using harness = await open()
      const { chain } = harness
      const hotkey = signerFromUri('//Newcomer').address
      const dear = await chain.register(validator, { netuid, hotkey, limit: toRao(BURN - 1n) })
      assert.ok(dear.outcome === 'refused')
      assert.equal(dear.error, 'RegistrationPriceLimitExceeded')
      const poor = await chain.register(signerFromUri('//Poor'), { netuid, hotkey })
      assert.ok(poor.outcome === 'refused')
      assert.equal(poor.error, 'NotEnoughBalanceToStake')
      const before = await chain.balance(validator.address)
      const price = (await chain.hyperparameters(netuid)).burn
      const paid = await chain.register(validator, { netuid, hotkey, limit: price })
      assert.equal(paid.outcome, 'included')
      assert.equal((await chain.metagraph(netuid)).neurons[3]?.hotkey, hotkey)
      assert.ok((await chain.balance(validator.address)) <= before - price)
      const again = await chain.register(validator, { netuid, hotkey })
      assert.equal(again.outcome, 'unchanged')
    })

    it('fails with CHAIN_CLOSED once closed', async () => {
      await using harness = await open()
      await harness.chain.close()
      await assert.rejects(harness.chain.head(), { code: 'CHAIN_CLOSED' })
    })
  })
}
