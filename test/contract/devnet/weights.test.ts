import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiPromise } from '@polkadot/api'
import { blake2AsHex } from '@polkadot/util-crypto'
import type { DevnetOptions, GenesisHyperparameters } from '#src/devnet/index.js'
import { FakeClock } from '../../support/fake-clock.js'
import { keyOf, type Outcome, send } from '../../support/polkadot.js'
import { sealToRound, weightsPayload } from '../../support/seal.js'
import { withDevnet } from '../../support/with-devnet.js'

const validator = keyOf('//Validator')
const TEMPO = 5

function subnet(
  hyperparameters: GenesisHyperparameters = {},
): NonNullable<DevnetOptions['subnets']> {
  return [
    {
      netuid: 1,
      hyperparameters: {
        tempo: TEMPO,
        minAllowedWeights: 1,
        weightsRateLimit: 0,
        commitReveal: true,
        ...hyperparameters,
      },
      neurons: [
        { hotkey: '//Validator', stake: 1000, validatorPermit: true },
        { hotkey: '//Miner1' },
        { hotkey: '//Miner2' },
      ],
    },
  ]
}

/** Polkadot-JS knows calls and storage only at run time. */
function call(api: ApiPromise, name: string, ...args: unknown[]): Promise<Outcome> {
  const tx = api.tx['subtensorModule']?.[name]
  assert.ok(tx, `call ${name}`)
  return send(api, tx(...args), validator)
}

async function read(api: ApiPromise, name: string, ...args: unknown[]): Promise<unknown> {
  const entry = api.query['subtensorModule']?.[name]
  assert.ok(entry, `storage ${name}`)
  return (await entry(...args)).toJSON()
}

for (const model of [425, 393, 218] as const) {
  test(`a hash commit reveals one epoch later and no sooner on runtime ${model}`, async () => {
    await withDevnet({ runtime: model, subnets: subnet() }, async (api, devnet) => {
      const reveal = [1, [1, 2], [1, 3], [7, 8, 9], 0] as const
      const tuple = api.createType('(AccountId,u16,Vec<u16>,Vec<u16>,Vec<u16>,u64)', [
        validator.address,
        ...reveal,
      ])
      const hash = blake2AsHex(tuple.toU8a())
      const open = await call(api, 'setWeights', 1, [1, 2], [1, 3], 0)
      assert.equal(open.error, 'CommitRevealEnabled')
      const committed = await call(api, 'commitWeights', 1, hash)
      assert.ok(committed.events.includes('subtensorModule.WeightsCommitted'), committed.error)
      const early = await call(api, 'revealWeights', ...reveal)
      assert.match(early.error ?? '', model === 218 ? /^RevealTooEarly$/ : /Custom error: 17$/)
      devnet.advance(TEMPO)
      const revealed = await call(api, 'revealWeights', ...reveal)
      assert.ok(revealed.events.includes('subtensorModule.WeightsRevealed'), revealed.error)
      assert.deepEqual(await read(api, 'weights', 1, 0), [
        [1, 21_845],
        [2, 65_535],
      ])
      const again = await call(api, 'revealWeights', ...reveal)
      assert.match(again.error ?? '', model === 218 ? /NoWeightsCommitFound/ : /Custom error: 16$/)
    })
  })
}

async function beaconKey(api: ApiPromise): Promise<Uint8Array> {
  const config = await api.query['drand']?.['beaconConfig']?.()
  assert.ok(config)
  const { publicKey } = config.toJSON() as { publicKey: string }
  return Buffer.from(publicKey.slice(2), 'hex')
}

const sealed = (round: number, key: Uint8Array): string =>
  `0x${sealToRound(weightsPayload(validator.publicKey, [1, 2], [5, 10]), round, key).toString('hex')}`

for (const model of [425, 393] as const) {
  test(`the chain reveals a timelocked commit in the next epoch on runtime ${model}`, async () => {
    await withDevnet({ runtime: model, subnets: subnet() }, async (api, devnet) => {
      const round = Math.floor(Date.now() / 3000)
      const commit = sealed(round, await beaconKey(api))
      const committed = await call(api, 'commitTimelockedWeights', 1, commit, round, 4)
      const name = 'subtensorModule.TimelockedWeightsCommitted'
      assert.ok(committed.events.includes(name), committed.error)
      assert.deepEqual(await read(api, 'weights', 1, 0), [])
      devnet.advance(TEMPO + 1)
      assert.deepEqual(await read(api, 'weights', 1, 0), [
        [1, 32_768],
        [2, 65_535],
      ])
    })
  })
}

test('a timelocked commit stays closed until the time of its round has come', async () => {
  const clock = new FakeClock(1_800_000_000_000)
  const options = { clock, drand: 'clock', subnets: subnet() } as const
  await withDevnet(options, async (api, devnet) => {
    const due = Math.floor((clock.now() / 1000 - 1_692_803_367) / 3) + 1
    const key = await beaconKey(api)
    devnet.advance()
    const past = await call(api, 'commitTimelockedWeights', 1, sealed(due - 9, key), due - 9, 4)
    assert.match(past.error ?? '', /Custom error: 15$/)
    const version = await call(api, 'commitTimelockedWeights', 1, sealed(due, key), due, 3)
    assert.equal(version.error, 'IncorrectCommitRevealVersion')
    const later = due + 2
    const committed = await call(
      api,
      'commitTimelockedMechanismWeights',
      ...[1, 0, sealed(later, key), later, 4],
    )
    assert.equal(committed.error, undefined)
    devnet.advance(TEMPO)
    assert.deepEqual(await read(api, 'weights', 1, 0), [], 'its round is not due yet')
    await clock.advance(6000)
    devnet.advance()
    assert.notDeepEqual(await read(api, 'weights', 1, 0), [])
  })
})

test('a commit that nobody can open is dropped with its epoch', async () => {
  await withDevnet({ subnets: subnet() }, async (api, devnet) => {
    const round = Math.floor(Date.now() / 3000)
    await call(api, 'commitTimelockedWeights', 1, '0x00112233', round, 4)
    devnet.advance(TEMPO * 3)
    assert.deepEqual(await read(api, 'weights', 1, 0), [])
    const waiting = await api.query['subtensorModule']?.['timelockedWeightCommits']?.entries(1)
    assert.equal(waiting?.length, 0)
  })
})

test('weights set every epoch move incentive, stake and permits', async () => {
  const subnets = subnet({ commitReveal: false, maxAllowedValidators: 1 })
  await withDevnet({ subnets }, async (api, devnet) => {
    const set = await call(api, 'setWeights', 1, [1, 2], [1, 3], 0)
    assert.ok(set.events.includes('subtensorModule.WeightsSet'), set.error)
    devnet.advance(TEMPO)
    assert.deepEqual(await read(api, 'incentive', 1), [0, 16_384, 49_151])
    const emission = (await read(api, 'emission', 1)) as number[]
    assert.ok((emission[2] ?? 0) > (emission[1] ?? 0) && (emission[1] ?? 0) > 0, String(emission))
    const stake = await read(api, 'totalHotkeyAlpha', keyOf('//Miner2').address, 1)
    assert.equal(stake, emission[2])
    assert.deepEqual(await read(api, 'validatorPermit', 1), [true, false, false])
  })
})

test('each refusal of set_weights has its own name, in the order of the runtime', async () => {
  const subnets = subnet({
    commitReveal: false,
    minAllowedWeights: 2,
    maxWeightsLimit: 40_000,
    weightsVersion: 3n,
    weightsRateLimit: 100,
  })
  await withDevnet({ subnets }, async (api) => {
    const cases: readonly [string, number[], number[], number][] = [
      ['WeightVecNotEqualSize', [1, 2], [1], 3],
      ['UidsLengthExceedUidsInSubNet', [0, 1, 2, 2], [1, 1, 1, 1], 3],
      ['IncorrectWeightVersionKey', [1, 2], [1, 1], 2],
      ['DuplicateUids', [1, 1], [1, 1], 3],
      ['UidVecContainInvalidOne', [1, 9], [1, 1], 3],
      ['WeightVecLengthIsLow', [1], [1], 3],
      ['MaxWeightExceeded', [1, 2], [1, 9], 3],
    ]
    for (const [error, uids, values, version] of cases) {
      const refused = await call(api, 'setWeights', 1, uids, values, version)
      assert.equal(refused.error, error)
    }
    const missing = await call(api, 'setMechanismWeights', 1, 1, [1, 2], [1, 1], 3)
    assert.equal(missing.error, 'MechanismDoesNotExist')
    const set = await call(api, 'setWeights', 1, [1, 2], [1, 1], 3)
    assert.equal(set.error, undefined)
    const tooFast = await call(api, 'setWeights', 1, [1, 2], [1, 1], 3)
    assert.match(tooFast.error ?? '', /Custom error: 6$/)
  })
})

test('a second mechanism keeps weights of its own', async () => {
  await withDevnet({ subnets: subnet({ commitReveal: false, mechanisms: 2 }) }, async (api) => {
    const set = await call(api, 'setMechanismWeights', 1, 1, [1, 2], [1, 1], 0)
    assert.equal(set.error, undefined)
    assert.deepEqual(await read(api, 'weights', 1, 0), [])
    assert.deepEqual(await read(api, 'weights', 4097, 0), [
      [1, 65_535],
      [2, 65_535],
    ])
  })
})
