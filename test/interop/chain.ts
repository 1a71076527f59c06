// The real Python SDKs against our local chain. Needs what scripts/interop.mjs installs. Ends with
// `N passed, N failed`.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { QUICKNET_PUBLIC_KEY, seal, toEnvelope } from '#src/chain/timelock.js'
import { type DevnetOptions, startDevnet } from '#src/devnet/index.js'
import { Subtensor } from '#src/devnet/runtime/subtensor-storage.js'
import { SystemRng } from '#src/lib/rng.js'
import { keyOf } from '../support/polkadot.js'
import { sealToRound, weightsPayload } from '../support/seal.js'
import { PythonHelper, Report } from './helper.js'

interface Told {
  readonly success: boolean
  readonly message: string
}

interface Seen {
  readonly sdk: string
  readonly registered: Told
  readonly served: Told
  readonly refused: Told
  readonly weighed: Told
  readonly hotkeys: readonly string[]
  readonly axons: readonly (string | null)[]
  readonly permits: readonly boolean[]
}

const report = new Report()
const VALIDATOR = keyOf('//Validator')

/**
 * An hour of quarter-second blocks. The SDKs seal to the round due three blocks after the next
 * epoch begins; rounds come every 3 s, so within 6 s of it that round may be out already, and the
 * chain refuses the commit. No machine is slow enough to come near with an epoch this long.
 */
const TEMPO = 14_400

const subnets = (commitReveal: boolean): NonNullable<DevnetOptions['subnets']> => [
  {
    netuid: 1,
    hyperparameters: {
      tempo: TEMPO,
      minAllowedWeights: 1,
      weightsRateLimit: 0,
      servingRateLimit: 0,
      commitReveal,
    },
    neurons: [
      { hotkey: '//Validator', stake: 1000, validatorPermit: true },
      { hotkey: '//Miner', axon: { ip: '127.0.0.2', port: 8090 } },
    ],
  },
]

interface Expected {
  readonly hotkey: string
  readonly endpoint: string
  readonly refusal: RegExp
}

/** One SDK registers, serves and weighs; the chain must say afterwards what the SDK says. */
async function drive(
  sdk: string,
  script: string,
  runtime: 425 | 446,
  expected: Expected,
): Promise<void> {
  const devnet = await startDevnet({ blocks: { everyMs: 250 }, runtime, subnets: subnets(false) })
  try {
    await using python = new PythonHelper(sdk, script, { url: devnet.url }, false)
    const seen = await python.next<Seen>()
    const newcomer = keyOf(expected.hotkey)
    const name = (what: string): string => `bittensor ${seen.sdk} on runtime ${runtime}: ${what}`
    await report.check(name('reads the metagraph'), () => {
      assert.deepEqual(seen.hotkeys, [
        VALIDATOR.address,
        keyOf('//Miner').address,
        newcomer.address,
      ])
      assert.deepEqual(seen.permits, [true, false, false])
    })
    await report.check(name('registers a hotkey'), () => {
      assert.ok(seen.registered.success, seen.registered.message)
    })
    await report.check(name('serves an axon and reads it back'), () => {
      assert.ok(seen.served.success, seen.served.message)
      assert.deepEqual(seen.axons.slice(1), ['127.0.0.2:8090', expected.endpoint])
    })
    await report.check(name('is told why 127.0.0.1 is refused'), () => {
      assert.equal(seen.refused.success, false)
      assert.match(seen.refused.message, expected.refusal)
    })
    await report.check(name('sets weights'), () => {
      assert.ok(seen.weighed.success, seen.weighed.message)
      const weights = devnet.chain.stateAt().read(Subtensor.Weights, 1, 0)
      assert.deepEqual(weights, [
        [1, 65_535],
        [2, 65_535],
      ])
    })
  } finally {
    await devnet.close()
  }
}

/** On a subnet that wants commits, the SDK seals to quicknet: the chain must take it and hold it. */
async function commitSealed(sdk: string, script: string, runtime: 425 | 446): Promise<void> {
  const devnet = await startDevnet({ blocks: { everyMs: 250 }, runtime, subnets: subnets(true) })
  try {
    const commits: number[] = []
    devnet.chain.onHead(() => {
      const state = devnet.chain.stateAt()
      for (const epoch of state.lastKeys(Subtensor.TimelockedWeightCommits, 1) as bigint[]) {
        commits.push(state.read(Subtensor.TimelockedWeightCommits, 1, epoch).length)
      }
    })
    await using python = new PythonHelper(sdk, script, { url: devnet.url }, false)
    const seen = await python.next<Seen>()
    await report.check(
      `bittensor ${seen.sdk} on runtime ${runtime}: commits sealed weights`,
      () => {
        assert.ok(seen.weighed.success, seen.weighed.message)
        assert.ok(commits.some((count) => count > 0))
      },
    )
  } finally {
    await devnet.close()
  }
}

/** bittensor-drand opens what was sealed in TypeScript, with a published signature of quicknet. */
async function openInPython(who: string, sealed: Uint8Array, plain: Uint8Array): Promise<void> {
  const file = new URL('../../../test/fixtures/timelock/quicknet.json', import.meta.url)
  const { rounds } = JSON.parse(readFileSync(file, 'utf8')) as {
    rounds: { round: number; signature: string }[]
  }
  const plan = {
    sealed: Buffer.from(toEnvelope(sealed, 1000)).toString('hex'),
    signature: rounds.find(({ round }) => round === 1000)?.signature,
  }
  await using python = new PythonHelper('10.5.0', 'open_timelock.py', plan, false)
  const opened = await python.next<{ version: string; plain: string }>()
  await report.check(`bittensor-drand ${opened.version} opens a commit sealed by ${who}`, () => {
    assert.equal(opened.version, '2.0.0')
    assert.equal(opened.plain, Buffer.from(plain).toString('hex'))
  })
}

await drive('10.5.0', 'chain_sdk10.py', 425, {
  hotkey: '//NewMiner',
  endpoint: '203.0.113.5:8091',
  refusal: /Custom error: 11/,
})
await drive('11.3.0', 'chain_sdk11.py', 446, {
  hotkey: '//OtherMiner',
  endpoint: '203.0.113.9:8092',
  refusal: /invalid IP address/,
})
await commitSealed('10.5.0', 'chain_sdk10.py', 425)
await commitSealed('11.3.0', 'chain_sdk11.py', 446)
const plain = weightsPayload(VALIDATOR.publicKey, [1, 2], [3, 4])
const quicknet = Buffer.from(QUICKNET_PUBLIC_KEY, 'hex')
await openInPython('the test helper', sealToRound(plain, 1000, quicknet), plain)
await openInPython('the chain client', seal(plain, 1000, new SystemRng()), plain)
process.exit(report.end())
