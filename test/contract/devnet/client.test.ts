import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiPromise } from '@polkadot/api'
import { keyOf, send } from '../../support/polkadot.js'
import { withDevnet } from '../../support/with-devnet.js'

/** 203.0.113.5 and 127.0.0.1. */
const PUBLIC_IP = '3405803781'
const LOOPBACK = '2130706433'

const SUBNET = {
  netuid: 1,
  hyperparameters: {
    tempo: 10,
    minAllowedWeights: 1,
    weightsRateLimit: 100,
    commitReveal: false,
    servingRateLimit: 0,
  },
  neurons: [
    { hotkey: '//Validator', stake: 1000, validatorPermit: true },
    { hotkey: '//Miner', axon: { ip: '127.0.0.2', port: 8091 } },
  ],
} as const

for (const model of [425, 393, 218] as const) {
  test(`Polkadot-JS reads runtime ${model} and its neurons from storage`, async () => {
    await withDevnet({ runtime: model, subnets: [SUBNET] }, async (api) => {
      assert.equal(api.runtimeVersion.specVersion.toNumber(), model)
      assert.equal(api.runtimeMetadata.version, model === 218 ? 15 : 16)
      const uid = await api.query['subtensorModule']?.['uids']?.(1, keyOf('//Miner').address)
      assert.equal(uid?.toString(), '1')
      const keys = await api.query['subtensorModule']?.['keys']?.entries(1)
      const hotkeys = keys?.map(([, hotkey]) => hotkey.toString())
      assert.deepEqual(hotkeys, [keyOf('//Validator').address, keyOf('//Miner').address])
    })
  })

  test(`a hotkey registers, serves and is weighed on runtime ${model}`, async () => {
    await withDevnet({ runtime: model, subnets: [SUBNET] }, async (api) => {
      const tx = api.tx['subtensorModule']
      const register = tx?.['burnedRegister']?.(1, keyOf('//New').address)
      const serve = tx?.['serveAxon']?.(1, 7, PUBLIC_IP, 8091, 4, 4, 0, 0)
      const weigh = tx?.['setWeights']?.(1, [0, 1, 2], [1, 2, 3], 0)
      assert.ok(register && serve && weigh)
      const registered = await send(api, register, keyOf('//Alice'))
      assert.ok(registered.events.includes('subtensorModule.NeuronRegistered'), registered.error)
      const served = await send(api, serve, keyOf('//New'))
      assert.ok(served.events.includes('subtensorModule.AxonServed'), served.error)
      const axon = await api.query['subtensorModule']?.['axons']?.(1, keyOf('//New').address)
      const shown = axon?.toJSON() as { ip: number; port: number }
      assert.deepEqual([shown.ip, shown.port], [Number(PUBLIC_IP), 8091])
      // Registration set LastUpdate to 0, the genesis block, which passes the rate limit.
      const weighed = await send(api, weigh, keyOf('//Validator'))
      assert.ok(weighed.events.includes('subtensorModule.WeightsSet'), weighed.error)
      const weights = await api.query['subtensorModule']?.['weights']?.(1, 0)
      assert.deepEqual(weights?.toJSON(), [
        [0, 21_845],
        [1, 43_690],
        [2, 65_535],
      ])
    })
  })
}

test('an error before inclusion is 1010 with its number, a later one names itself', async () => {
  await withDevnet({ subnets: [SUBNET] }, async (api) => {
    const tx = api.tx['subtensorModule']
    const loopback = tx?.['serveAxon']?.(1, 7, LOOPBACK, 8091, 4, 4, 0, 0)
    const weigh = tx?.['setWeights']?.(1, [0], [1], 0)
    assert.ok(loopback && weigh)
    const refused = await send(api, loopback, keyOf('//Miner'))
    assert.match(refused.error ?? '', /^1010: Invalid Transaction: Custom error: 11$/)
    const failed = await send(api, weigh, keyOf('//Miner'))
    assert.equal(failed.error, 'NeuronNoValidatorPermit')
  })
})

test('the runtime before transaction extensions reports the same error from the call', async () => {
  await withDevnet({ runtime: 218, subnets: [SUBNET] }, async (api) => {
    const loopback = api.tx['subtensorModule']?.['serveAxon']?.(1, 7, LOOPBACK, 8091, 4, 4, 0, 0)
    assert.ok(loopback)
    const refused = await send(api, loopback, keyOf('//Miner'))
    assert.equal(refused.error, 'InvalidIpAddress')
  })
})

test('the typed metagraph agrees with storage', async () => {
  await withDevnet({ subnets: [SUBNET] }, async (api) => {
    const answer = await api.call['subnetInfoRuntimeApi']?.['getMetagraph']?.(1)
    const metagraph = answer?.toJSON() as {
      hotkeys: string[]
      validatorPermit: boolean[]
      totalStake: number[]
      axons: { port: number }[]
    }
    assert.deepEqual(metagraph.hotkeys, [keyOf('//Validator').address, keyOf('//Miner').address])
    assert.deepEqual(metagraph.validatorPermit, [true, false])
    assert.deepEqual(metagraph.totalStake, [1_000_000_000_000, 0])
    assert.equal(metagraph.axons[1]?.port, 8091)
  })
})

test('a transfer costs its fee and moves the money', async () => {
  await withDevnet({ subnets: [SUBNET] }, async (api) => {
    const { address } = keyOf('//Nobody')
    const tx = api.tx['balances']?.['transferKeepAlive']?.(address, 5_000_000_000n)
    assert.ok(tx)
    const { partialFee } = await tx.paymentInfo(keyOf('//Bob'))
    const before = await free(api, keyOf('//Bob').address)
    const sent = await send(api, tx, keyOf('//Bob'))
    assert.equal(sent.error, undefined)
    assert.equal(await free(api, address), 5_000_000_000n)
    const after = await free(api, keyOf('//Bob').address)
    assert.equal(before - after, 5_000_000_000n + partialFee.toBigInt())
  })
})

async function free(api: ApiPromise, address: string): Promise<bigint> {
  const account = await api.query['system']?.['account']?.(address)
  assert.ok(account)
  return BigInt((account.toJSON() as { data: { free: number } }).data.free)
}
