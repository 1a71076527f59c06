import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { FileWeightLedger, weightLedgerPath } from '#src/chain/index.js'
import { runCli } from '#src/cli/cli.js'
import type { Devnet } from '#src/devnet/index.js'
import { toNetuid, toUid } from '#src/protocol/units.js'
import { clientOf, miner, startTestnet, validator } from '../support/chain-harness.js'

describe('the chain verbs of subreel', () => {
  let net: Devnet
  let folder: string

  before(async () => {
    net = await startTestnet()
    net.advance(30)
    folder = await mkdtemp(join(tmpdir(), 'subreel-cli-'))
  })
  after(async () => {
    await net.close()
    await rm(folder, { recursive: true })
  })

  async function subreel(...words: string[]) {
    const out: string[] = []
    const err: string[] = []
    const settings = [
      `--subtensor.chain_endpoint=${net.url}`,
      `--wallet.path=${join(folder, 'wallets')}`,
      `--neuron.data_dir=${folder}`,
    ]
    const code = await runCli([...words, ...settings], {
      out: (line) => out.push(line),
      err: (line) => err.push(line),
      env: {},
      signal: new AbortController().signal,
    })
    return { code, out: out.join('\n'), err: err.join('\n') }
  }

  it('shows the metagraph as a table and as JSON', async () => {
    const table = await subreel('metagraph', '--netuid', '1')
    assert.equal(table.code, 0, table.err)
    assert.match(table.out, new RegExp(`0 +${validator.address} +1000\\.00 +yes`))
    const json = JSON.parse((await subreel('metagraph', '--netuid', '1', '--json')).out)
    assert.equal(json.neurons.length, 3)
    assert.equal(json.neurons[1].hotkey, miner.address)
    assert.equal(json.neurons[1].emission, '0')
  })

  it('lets the doctor say which uid the hotkey has, or that it has none', async () => {
    const words = ['doctor', '--json', '--redis.url', 'redis://127.0.0.1:1', '--netuid', '1']
    const seen = async (hotkey: string) => {
      const { out } = await subreel(...words, '--wallet.hotkey', hotkey)
      const results: { check: string; status: string; message: string }[] = JSON.parse(out)
      return results.filter(({ check }) => check === 'chain')
    }
    const alice = await seen('//Alice')
    assert.deepEqual(
      alice.map(({ status }) => status),
      ['ok', 'ok'],
    )
    assert.match(alice[1]?.message ?? '', /is uid 0 of 3 in subnet 1/)
    const eve = await seen('//Eve')
    assert.deepEqual(
      eve.map(({ status }) => status),
      ['ok', 'warn'],
    )
  })

  it('says with its code that a subnet does not exist, and what words it wants', async () => {
    const absent = await subreel('metagraph', '--netuid', '9')
    assert.deepEqual([absent.code, /CHAIN_SUBNET_UNKNOWN/.test(absent.err)], [1, true], absent.err)
    assert.equal((await subreel('metagraph')).code, 2)
    assert.equal((await subreel('wallet', 'dance')).code, 2)
  })

  it('makes a development wallet, shows it, its balance, and registers it within a limit', async () => {
    const made = await subreel(
      'wallet',
      'dev',
      'create',
      '--coldkey',
      '//Ferdie',
      '--hotkey',
      '//New',
    )
    assert.equal(made.code, 0, made.err)
    const shown = JSON.parse((await subreel('wallet', 'show', '--json')).out)
    assert.match(shown.hotkey, /^5/)
    assert.match((await subreel('wallet', 'balance')).out, /1000000\.000000000 TAO/)
    assert.match((await subreel('wallet', 'balance', '//Dave')).out, /1000000\.000000000 TAO/)
    assert.match((await subreel('wallet', 'balance', 'nobody')).err, /^WALLET_ADDRESS_INVALID/)
    const price = await subreel('register', '--netuid', '1')
    assert.match(price.out, /costs 0\.100000000 TAO/)
    const dear = await subreel('register', '--netuid', '1', '--limit', '0.05')
    assert.equal(dear.code, 1)
    assert.match(dear.err, /RegistrationPriceLimitExceeded/)
    const paid = JSON.parse(
      (await subreel('register', '--netuid', '1', '--limit', '0.2', '--json')).out,
    )
    assert.deepEqual([paid.outcome, paid.uid, paid.hotkey], ['included', 3, shown.hotkey])
    assert.match((await subreel('register', '--netuid', '1', '--limit', '1')).out, /already, uid 3/)
    assert.equal((await subreel('register', '--netuid', '1', '--limit', 'much')).code, 2)
  })

  it('shows the ledger, the weights on chain and the next window, without salts', async () => {
    const ledger = await FileWeightLedger.open(weightLedgerPath(folder, validator.address))
    await using chain = clientOf([net], { ledger })
    const netuid = toNetuid(1)
    const sent = await chain.setWeights(validator, {
      netuid,
      uids: [toUid(1), toUid(2)],
      weights: [1, 3],
    })
    await ledger.close()
    assert.ok(sent.outcome === 'included')
    const words = ['weights', '--netuid', '1', '--wallet.hotkey', '//Alice'] as const
    const table = await subreel(...words)
    assert.equal(table.code, 0, table.err)
    assert.match(table.out, /2: 75\.0 %, 1: 25\.0 %/)
    assert.match(table.out, /verified/)
    const report = JSON.parse((await subreel(...words, '--json')).out)
    assert.equal(report.lastUpdate, sent.block)
    assert.equal(report.nextWindow.block, sent.block + 10)
    assert.equal(report.ledger.length, 1)
    assert.ok(!('salt' in report.ledger[0]))
    assert.equal(report.validatorPermit, true)
    const unpermitted = await subreel('weights', '--netuid', '1', '--wallet.hotkey', '//Bob')
    assert.match(unpermitted.out, /no validator permit/)
    const nobody = await subreel('weights', '--netuid', '1', '--wallet.hotkey', '//Eve')
    assert.equal(nobody.code, 1)
    const bare = await subreel('weights', '--netuid', '1', '--wallet.hotkey', '//Bob')
    assert.match(
      bare.out,
      /ledger of this machine is empty: no validator database at .*validator\.db/,
    )
    assert.equal(existsSync(join(folder, 'validator.db')), false)
  })
})
