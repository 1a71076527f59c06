import assert from 'node:assert/strict'
import { isSendable } from '#src/chain/quantise.js'
import { pick, SeededRng } from '#src/lib/rng.js'
import { toNetuid, toUid } from '#src/protocol/units.js'
import { advance, clientOf, startTestnet, validator } from './chain-harness.js'
import { FlakyProxy } from './flaky-proxy.js'

const WINDOW_BLOCKS = 10
/** Shorter than a window, as on real subnets: weights set late must not shut the next window. */
export const RATE_LIMIT_BLOCKS = 5
const netuid = toNetuid(1)

/** What the pool, the node and the runtime say now and then to a well-made extrinsic. */
export const SUBMISSION_REFUSALS = [
  { code: 1010, message: 'Invalid Transaction', data: 'Transaction is outdated' },
  { code: 1010, message: 'Invalid Transaction', data: 'Custom error: 6' },
  { code: 1014, message: 'Priority is too low' },
  { code: 1016, message: 'Immediately dropped' },
]
export const DISPATCH_REFUSALS = ['SettingWeightsTooFast', 'CommitRevealEnabled']
const REFUSALS = {
  open: DISPATCH_REFUSALS,
  sealed: ['CommittingWeightsTooFast', 'TooManyUnrevealedCommits'],
}
const POISONED = [
  [0, 0],
  [Number.NaN, 1],
  [Number.POSITIVE_INFINITY, 0],
]

export interface EpochsRun {
  /** Windows in which weights were set. */
  readonly set: number
  /** Times the chain held a vector without a positive weight. */
  readonly zeros: number
  /** Windows after which the chain held another vector than before. */
  readonly changes: number
  /** Refusals and endpoint losses made. */
  readonly troubles: number
}

/** Weights set in the open, or sealed until the next epoch as most subnets want it. */
export type EpochsMode = keyof typeof REFUSALS

/**
 * Sets weights in `epochs` windows, over sockets, while the node refuses extrinsics, endpoints drop or
 * go silent, scores are now and then all zero or not numbers, and the runtime is upgraded half-way.
 */
export async function simulateEpochs(epochs: number, mode: EpochsMode): Promise<EpochsRun> {
  const rng = new SeededRng('a thousand epochs')
  await using net = await startTestnet(
    { weightsRateLimit: RATE_LIMIT_BLOCKS, commitReveal: mode === 'sealed' },
    { runtime: 393 },
  )
  net.advance(20)
  await using first = await FlakyProxy.before(net.url)
  await using second = await FlakyProxy.before(net.url)
  await using chain = clientOf([net], {
    endpoints: [first.url, second.url],
    // Long enough for a machine that is busy: metadata takes a while to read.
    requestTimeoutMs: 2_000,
    connectTimeoutMs: 2_000,
  })
  let set = 0
  let zeros = 0
  let troubles = 0
  let changes = 0
  let held = ''
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const chance = rng.float()
    if (chance < 0.1) net.faults.refuseSubmissions({ ...pick(rng, SUBMISSION_REFUSALS), times: 1 })
    else if (chance < 0.15) net.faults.refuseCalls(pick(rng, REFUSALS[mode]))
    else if (chance < 0.2) pick(rng, [first, second]).drop()
    else if (chance < 0.21) pick(rng, [first, second]).mode = 'blackhole'
    if (chance < 0.21) troubles += 1
    if (epoch === epochs / 2)
      net.faults.upgrade({ model: 425, specVersion: 500, callIndexShift: 7 })
    const poisoned = epoch > 0 && rng.float() < 0.05
    const weights = poisoned ? pick(rng, POISONED) : [rng.float() + 0.01, rng.float()]
    const opened = (await chain.head()).number
    for (let blocks = 0; blocks < WINDOW_BLOCKS; blocks += 1) {
      const result = await chain.setWeights(validator, {
        netuid,
        uids: [toUid(1), toUid(2)],
        weights,
      })
      if (result.outcome === 'included') {
        set += 1
        assert.equal(result.verified, true, `epoch ${epoch}`)
        break
      }
      assert.ok(result.outcome === 'refused' && result.action !== 'stop', JSON.stringify(result))
      await advance(chain, net, 1)
    }
    first.mode = 'pass'
    second.mode = 'pass'
    const stored = [...(await chain.weights(netuid, toUid(0))).values()]
    // Nothing is held before the first seal has opened.
    if ((mode === 'open' || stored.length > 0) && !isSendable(stored)) zeros += 1
    if (held !== `${stored}`) changes += 1
    held = `${stored}`
    const used = (await chain.head()).number - opened
    await advance(chain, net, Math.max(1, WINDOW_BLOCKS + 1 - used))
  }
  return { set, zeros, changes, troubles }
}
