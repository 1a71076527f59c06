import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ChainError } from '#src/chain/errors.js'
import { diffMetagraphs, type Metagraph, resolveNetwork } from '#src/chain/index.js'
import { MemoryWeightLedger, type WeightEntry } from '#src/chain/ledger.js'
import { fetchMetadata, type MetadataCache } from '#src/chain/metadata.js'
import type { Transport } from '#src/chain/socket.js'
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

describe('metadata', () => {
  const genesis = `0x${'11'.repeat(32)}`
  const transport = (
    answer: (method: string, params: readonly unknown[]) => unknown,
  ): Transport => ({
    endpoint: 'ws://node',
    isOpen: true,
    request: async (method, params) => {
      if (method === 'chain_getBlockHash') return genesis
      if (method === 'state_getRuntimeVersion') return { specVersion: 393 }
      return answer(method, params)
    },
    subscribe: async () => '1',
    unsubscribe: async () => {},
    onClose: () => {},
    close: () => {},
  })
  const at = (version: number) => `0x${version.toString(16).padStart(2, '0')}000000`

  it('takes the newest version there is, and once per runtime', async () => {
    const cache: MetadataCache = new Map()
    let calls = 0
    const node = transport((_method, [, argument]) => {
      calls += 1
      return argument === at(15) ? '0x010c6d6574' : '0x00'
    })
    const expected = { [`${genesis}-393`]: '0x6d6574' }
    assert.deepEqual(await fetchMetadata(node, cache), expected)
    assert.deepEqual(await fetchMetadata(node, cache), expected)
    assert.equal(calls, 2)
  })

  it('asks the old way only a node that says it has no newer version', async () => {
    const old = transport((method) => {
      if (method === 'state_getMetadata') return '0x6f6c64'
      throw new ChainError({ code: 'CHAIN_RPC_FAILED', method, rpcCode: -32_601 }, 'no such method')
    })
    assert.deepEqual(await fetchMetadata(old, new Map()), { [`${genesis}-393`]: '0x6f6c64' })
    const slow = transport((method) => {
      if (method === 'state_getMetadata') return '0x6f6c64'
      throw new ChainError({ code: 'CHAIN_TIMEOUT', method, timeoutMs: 1 }, 'late')
    })
    await assert.rejects(fetchMetadata(slow, new Map()), { code: 'CHAIN_TIMEOUT' })
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
