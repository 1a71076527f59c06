import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiPromise } from '@polkadot/api'
import { Keyring } from '@polkadot/keyring'
import { keyOf } from '../../support/polkadot.js'
import { RpcClient } from '../../support/rpc.js'
import { withDevnet } from '../../support/with-devnet.js'

const alice = keyOf('//Alice')

interface Signing {
  readonly nonce: number
  readonly era?: number
  readonly value?: number
  readonly who?: ReturnType<typeof keyOf>
}

async function signed(api: ApiPromise, options: Signing): Promise<string> {
  const { nonce, era = 0, value = 1000, who = alice } = options
  const tx = api.tx['balances']?.['transferKeepAlive']?.(keyOf('//Bob').address, value)
  assert.ok(tx)
  const anchor =
    era === 0
      ? {}
      : { blockHash: (await api.rpc.chain.getBlockHash()).toHex(), blockNumber: await height(api) }
  await tx.signAsync(who, { nonce, era, ...anchor })
  return tx.toHex()
}

const height = async (api: ApiPromise): Promise<number> =>
  (await api.rpc.chain.getHeader()).number.toNumber()

test('nonces are taken in order: early waits, late is stale, twice is refused', async () => {
  await withDevnet({ blocks: 'manual' }, async (api, devnet) => {
    const rpc = await RpcClient.open(devnet.url)
    const second = await signed(api, { nonce: 1 })
    const watch = await rpc.call<string>('author_submitAndWatchExtrinsic', second)
    assert.deepEqual(await rpc.pushed(watch, 1), ['future'])
    devnet.advance()
    assert.equal(devnet.chain.pool.size, 1)
    const twice = await rpc.ask('author_submitExtrinsic', second)
    assert.equal(twice.error?.code, 1013)
    const rival = await rpc.ask('author_submitExtrinsic', await signed(api, { nonce: 1, value: 9 }))
    assert.equal(rival.error?.code, 1014)
    await rpc.call('author_submitExtrinsic', await signed(api, { nonce: 0 }))
    assert.equal(await rpc.call('system_accountNextIndex', alice.address), 2)
    devnet.advance()
    assert.equal(devnet.chain.pool.size, 0)
    const stale = await rpc.ask('author_submitExtrinsic', await signed(api, { nonce: 0, value: 7 }))
    assert.deepEqual(stale.error, {
      code: 1010,
      message: 'Invalid Transaction',
      data: 'Transaction is outdated',
    })
    rpc.close()
  })
})

test('a signature holds for its bytes, its chain and its time', async () => {
  await withDevnet({ blocks: 'manual' }, async (api, devnet) => {
    const rpc = await RpcClient.open(devnet.url)
    devnet.advance(5)
    const bad = async (hex: string) => (await rpc.ask('author_submitExtrinsic', hex)).error?.data
    const good = await signed(api, { nonce: 0, era: 8 })
    // Two characters inside the signature, which lies behind 37 bytes of length, version and signer.
    const at = 2 + 2 * 60
    const flipped = good.slice(at, at + 2) === '00' ? '01' : '00'
    const tampered = good.slice(0, at) + flipped + good.slice(at + 2)
    assert.equal(await bad(tampered), 'Transaction has a bad signature')
    const other = await signed(api, { nonce: 0, who: keyOf('//Poor') })
    assert.match(String(await bad(other)), /Inability to pay some fees/)
    devnet.advance(9)
    assert.equal(await bad(good), 'Transaction has a bad signature', 'its era is over')
    await rpc.call('author_submitExtrinsic', await signed(api, { nonce: 0, era: 8 }))
    devnet.advance(12)
    const immortal = await signed(api, { nonce: 1 })
    await rpc.call('author_submitExtrinsic', immortal)
    rpc.close()
  })
})

test('an ed25519 key signs as well', async () => {
  const pair = new Keyring({ type: 'ed25519', ss58Format: 42 }).addFromUri('//Edith')
  const accounts = { [pair.address]: 5 }
  await withDevnet({ accounts }, async (api, devnet) => {
    const rpc = await RpcClient.open(devnet.url)
    await rpc.call('author_submitExtrinsic', await signed(api, { nonce: 0, who: pair }))
    rpc.close()
  })
})

test('an extrinsic that expires in the pool is reported and dropped', async () => {
  await withDevnet({ blocks: 'manual' }, async (api, devnet) => {
    const rpc = await RpcClient.open(devnet.url)
    const late = await signed(api, { nonce: 1, era: 4 })
    const watch = await rpc.call<string>('author_submitAndWatchExtrinsic', late)
    devnet.advance(8)
    await rpc.call('author_submitExtrinsic', await signed(api, { nonce: 0 }))
    devnet.advance()
    assert.deepEqual(await rpc.pushed(watch, 2), ['future', 'invalid'])
    assert.equal(devnet.chain.pool.size, 0)
    rpc.close()
  })
})
