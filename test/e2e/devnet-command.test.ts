// The local chain as `subreel devnet` starts it: what its options say is what a client then reads.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Chain, createChain } from 'subreel/chain'
import { toBlockNumber, toNetuid } from 'subreel/protocol'
import { signerFromUri } from 'subreel/wallet'
import { runCli } from '#src/cli/cli.js'
import { withResolvers } from '#src/lib/resources.js'

const KEYS = {
  zoe: signerFromUri('//Zoe'),
  validator: signerFromUri('//V'),
  miner: signerFromUri('//M'),
}

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subreel-devnet-'))
})
after(() => rm(folder, { recursive: true }))

/** Runs the verb until `use` is done. */
async function withVerb(words: readonly string[], use: (chain: Chain) => Promise<void>) {
  const told = withResolvers<string>()
  const stop = new AbortController()
  const ended = runCli(['devnet', '--port', '0', '--quiet', ...words], {
    out: told.resolve,
    err: told.reject,
    env: {},
    signal: stop.signal,
  })
  const url = /ws:\/\/\S+/.exec(await told.promise)?.[0] ?? ''
  const chain = createChain({ endpoints: [url] })
  try {
    await use(chain)
  } finally {
    await chain.close()
    stop.abort()
  }
  assert.equal(await ended, 0)
}

/** Waits until the chain has so many more blocks. */
async function grows(chain: Chain, blocks: number): Promise<void> {
  const grown = withResolvers<void>()
  const first = (await chain.head()).number
  const watching = chain.watchHeads(({ number }) => {
    if (number >= first + blocks) grown.resolve()
  })
  await grown.promise
  watching.close()
}

it('subreel tells its version', async () => {
  const lines: string[] = []
  const out = (line: string) => lines.push(line)
  const io = { out, err: assert.fail, env: {}, signal: AbortSignal.abort() }
  assert.equal(await runCli(['--version'], io), 0)
  assert.match(lines.join(), /^\d+\.\d+\.\d+/)
})

describe('subreel devnet', () => {
  const words = [
    ...['--fast', '--netuid', '7', '--tempo', '30', '--commit-reveal'],
    ...['--accounts', '//Zoe=12.5,//Alice'],
    ...['--neuron', '//V,stake=500,permit,coldkey=//Zoe', '--neuron', '//M'],
  ]

  it('makes the accounts, the subnet and the neurons that it is told to, and fast blocks', async () => {
    await withVerb(words, async (chain) => {
      const netuid = toNetuid(7)
      assert.equal(await chain.balance(KEYS.zoe.address), 12_500_000_000n)
      assert.equal(await chain.balance(signerFromUri('//Bob').address), 0n)
      const { neurons } = await chain.metagraph(netuid)
      assert.deepEqual(
        neurons.map(({ hotkey, coldkey, validatorPermit }) => [hotkey, coldkey, validatorPermit]),
        [
          [KEYS.validator.address, KEYS.zoe.address, true],
          [KEYS.miner.address, signerFromUri('//Alice').address, false],
        ],
      )
      const rules = await chain.hyperparameters(netuid)
      assert.deepEqual([rules.tempo, rules.commitRevealEnabled], [30, true])
      await grows(chain, 3)
    })
  })

  it('goes on from its state file', async () => {
    const state = ['--state', join(folder, 'chain.json')]
    let hash: string | undefined
    await withVerb([...words, ...state], async (chain) => {
      await grows(chain, 1)
      hash = await chain.blockHash((await chain.head()).number)
    })
    await withVerb([...words, ...state], async (chain) => {
      const { number } = await chain.head()
      assert.ok(number > 0, `block ${number}`)
      assert.ok(hash !== undefined)
      const kept = await Promise.all(
        Array.from({ length: number + 1 }, (_, i) => chain.blockHash(toBlockNumber(i))),
      )
      assert.ok(kept.includes(hash), 'the block seen before is still on the chain')
    })
  })

  it('is an older runtime when told so', async () => {
    await withVerb(['--old-runtime', '--instant', '--neuron', '//M'], async (chain) => {
      const { neurons } = await chain.metagraph(toNetuid(1))
      assert.equal(neurons[0]?.hotkey, KEYS.miner.address)
    })
  })

  it('says what is wrong with an option', async () => {
    for (const wrong of [
      ['--accounts', '//Zoe=much'],
      ['--neuron', '//V,stakes=5'],
      ['--runtime', '7'],
      ['--tempo', '70000'],
      ['--frobnicate'],
    ]) {
      const errors: string[] = []
      const code = await runCli(['devnet', '--port', '0', ...wrong], {
        out: () => {},
        err: (line) => errors.push(line),
        env: {},
        signal: AbortSignal.abort(),
      })
      assert.equal(code, 2, wrong.join(' '))
      assert.match(errors.join('\n'), /subreel devnet (--help|\[options\])/, wrong.join(' '))
    }
  })

  it('suggests what a mistyped option or verb was meant to be', async () => {
    for (const [words, meant] of [
      [['devnet', '--fsat'], '--fast'],
      [['devnt'], 'devnet'],
    ] as const) {
      const errors: string[] = []
      const err = (line: string) => errors.push(line)
      const io = { out: () => {}, err, env: {}, signal: AbortSignal.abort() }
      assert.equal(await runCli(words, io), 2)
      assert.match(errors.join('\n'), new RegExp(`did you mean ${meant}\\?`))
    }
  })
})
