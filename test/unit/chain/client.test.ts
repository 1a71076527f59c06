import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { diffMetagraphs, type Metagraph, resolveNetwork } from '#src/chain/index.js'
import { MemoryWeightLedger, type WeightEntry } from '#src/chain/ledger.js'
import { eraDeath, nameDispatchError } from '#src/chain/submit.js'
import { toNetuid } from '#src/protocol/units.js'
import { signerFromUri } from '#src/wallet/index.js'
import { MemoryChain } from '../../support/memory-chain.js'

const address = (name: string) => signerFromUri(`//${name}`).address

describe('networks', () => {
  it('resolves names, URLs and lists of both in the order given', () => {
    assert.deepEqual(resolveNetwork('local'), { endpoints: ['ws://127.0.0.1:9944'] })
    const mixed = resolveNetwork('wss://own:443, finney')
    assert.equal(mixed.endpoints[0], 'wss://own:443')
    assert.match(mixed.genesisHash ?? '', /^0x2f0555cc/)
  })

  it('refuses what is no endpoint, and two networks at once', () => {
    for (const text of ['', 'http://x', 'mainnet', 'finney,test']) {
      assert.throws(() => resolveNetwork(text), { code: 'CHAIN_ENDPOINT_INVALID' }, text)
    }
  })
})

describe('metagraph changes', () => {
  it('tells apart new, replaced and removed neurons, moved axons and permits', async () => {
    const neurons = ['A', 'B', 'C', 'D'].map((name) => ({ hotkey: address(name) }))
    const chain = new MemoryChain({ neurons })
    const netuid = toNetuid(1)
    const before = await chain.metagraph(netuid)
    chain.advance(3)
    chain.replace(1, { hotkey: address('E') })
    chain.replace(2, { hotkey: address('C') })
    chain.update(3, {
      validatorPermit: true,
      axon: { ip: '1.2.3.4', port: 80, version: 1, protocol: 4 },
    })
    const after = await chain.metagraph(netuid)
    const short: Metagraph = { ...before, neurons: before.neurons.slice(0, 3) }
    assert.deepEqual(
      diffMetagraphs(before, after).map(({ kind, uid }) => `${kind} ${uid}`),
      ['replaced 1', 'replaced 2', 'axon-moved 3', 'permit-changed 3'],
    )
    assert.deepEqual(
      diffMetagraphs(before, short).map(({ kind, uid }) => `${kind} ${uid}`),
      ['removed 3'],
    )
    assert.deepEqual(
      diffMetagraphs(short, before).map(({ kind, uid }) => `${kind} ${uid}`),
      ['registered 3'],
    )
  })
})

describe('extrinsics', () => {
  it('knows the last block of an era of 64 blocks', () => {
    assert.equal(eraDeath(0), 63)
    assert.equal(eraDeath(100), 163)
  })

  it('names dispatch errors of every kind', () => {
    const name = (index: number, error: number) => `${index}:${error}`
    assert.equal(nameDispatchError({ module: { index: 7, error: '0x05000000' } }, name), '7:5')
    assert.equal(nameDispatchError({ token: 'FundsUnavailable' }, name), 'Token')
    assert.equal(nameDispatchError('BadOrigin', name), 'BadOrigin')
  })
})

describe('the weight ledger', () => {
  it('replaces an entry by its id and lists the newest first', async () => {
    const ledger = new MemoryWeightLedger()
    const hotkey = address('A')
    const netuid = toNetuid(1)
    const entry = (block: number): WeightEntry => ({
      id: `${block}`,
      hotkey,
      netuid,
      mechanism: 0,
      epoch: 0,
      method: 'set',
      block,
      uids: [0],
      values: [65_535],
      versionKey: '0',
      vectorHash: '',
      state: 'pending',
    })
    for (const block of [10, 30, 20]) await ledger.put(entry(block))
    await ledger.put({ ...entry(20), state: 'verified' })
    const listed = await ledger.list({ hotkey, netuid, mechanism: 0 }, 2)
    assert.deepEqual(
      listed.map(({ block, state }) => `${block} ${state}`),
      ['30 pending', '20 verified'],
    )
    assert.deepEqual(await ledger.list({ hotkey, netuid, mechanism: 1 }, 9), [])
  })
})
