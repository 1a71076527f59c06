import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startDevnet } from '#src/devnet/index.js'
import { connect, keyOf, send } from '../../support/polkadot.js'

test('a chain in a file goes on where it stopped', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devnet-'))
  try {
    const options = { blocks: 'instant', stateFile: join(folder, 'chain.json') } as const
    const first = await startDevnet(options)
    const api = await connect(first.url)
    const tx = api.tx['balances']?.['transferKeepAlive']?.(keyOf('//Nobody').address, 5_000_000)
    assert.ok(tx)
    assert.equal((await send(api, tx, keyOf('//Alice'))).error, undefined)
    await api.disconnect()
    const { head, genesisHash } = first.chain
    await first.close()

    const second = await startDevnet(options)
    assert.deepEqual([first.resumedAt, second.resumedAt], [undefined, head.number])
    assert.equal(second.chain.head.hash, head.hash)
    assert.equal(second.chain.genesisHash, genesisHash)
    const again = await connect(second.url)
    const account = await again.query['system']?.['account']?.(keyOf('//Nobody').address)
    assert.equal(
      (account?.toJSON() as { data: { free: number } } | undefined)?.data.free,
      5_000_000,
    )
    const next = again.tx['balances']?.['transferKeepAlive']?.(keyOf('//Nobody').address, 1)
    assert.ok(next)
    assert.equal((await send(again, next, keyOf('//Alice'))).error, undefined)
    await again.disconnect()
    await second.close()
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a damaged file stops the start with a code', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'devnet-'))
  try {
    const stateFile = join(folder, 'chain.json')
    for (const text of ['', '{}', '{"format":1,"blocks":[]}']) {
      await writeFile(stateFile, text)
      await assert.rejects(startDevnet({ stateFile }), { code: 'DEVNET_STATE_INVALID' })
    }
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('options that cannot be are refused with a code', async () => {
  const code = 'DEVNET_OPTION_INVALID'
  await assert.rejects(startDevnet({ accounts: { nonsense: 1 } }), { code })
  await assert.rejects(startDevnet({ subnets: [{ netuid: 0 }] }), { code })
  await assert.rejects(startDevnet({ blocks: { everyMs: 0 } }), { code })
})

test('a file that cannot be written and a port that is taken stop the start with a code', async () => {
  const stateFile = join(tmpdir(), 'devnet-none', 'of', 'these')
  await assert.rejects(startDevnet({ stateFile }), { code: 'DEVNET_STATE_UNWRITABLE' })
  const first = await startDevnet({ blocks: 'manual' })
  try {
    const port = Number(new URL(first.url).port)
    await assert.rejects(startDevnet({ port }), { code: 'DEVNET_ADDRESS_UNUSABLE' })
  } finally {
    await first.close()
  }
})
