import type { CallValue, SUBTENSOR_CALLS } from '../runtime/calls.js'
import type { AccountId } from '../runtime/frame-types.js'
import type { Call } from '../runtime/runtime.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { checkReveal, checkRevealRound, type RevealArgs } from './commits.js'
import { type Context, ensure } from './context.js'
import { mechanismIndex } from './neurons.js'
import { checkAxon } from './serving.js'
import { hasStakeForWeights, passesWeightsRate } from './weights.js'

/** The number a validation error has in `InvalidTransaction::Custom`. */
const CUSTOM: Readonly<Record<string, number>> = {
  AmountTooLow: 1,
  NotEnoughStakeToSetWeights: 1,
  NotEnoughBalanceToStake: 2,
  SubnetNotExists: 3,
  HotKeyAccountNotExists: 4,
  NotEnoughStakeToWithdraw: 5,
  CommittingWeightsTooFast: 6,
  SettingWeightsTooFast: 6,
  NetworkTxRateLimitExceeded: 6,
  InsufficientLiquidity: 7,
  SlippageTooHigh: 8,
  TransferDisallowed: 9,
  HotKeyNotRegisteredInNetwork: 10,
  InvalidIpAddress: 11,
  ServingRateLimitExceeded: 12,
  InvalidPort: 13,
  InvalidRevealRound: 15,
  NoWeightsCommitFound: 16,
  RevealTooEarly: 17,
  InputLengthsUnequal: 18,
  HotKeyNotRegisteredInSubNet: 19,
  NonAssociatedColdKey: 25,
}
const BAD_REQUEST = 255

export const customErrorNumber = (error: string): number => CUSTOM[error] ?? BAD_REQUEST

type Args<K extends keyof typeof SUBTENSOR_CALLS> = CallValue<(typeof SUBTENSOR_CALLS)[K]>

/**
 * What SubtensorTransactionExtension checks before a call may enter a block, so that a call without
 * fee cannot fail for free. Runtimes before it report the same errors from the call itself.
 * @throws Refusal
 */
export function checkBeforeInclusion(context: Context, who: AccountId, call: Call): void {
  if (context.runtime.model < 393 || call.pallet !== 'SubtensorModule') return
  const { name } = call
  if (name === 'serve_axon' || name === 'serve_axon_tls') {
    checkAxon(context, who, call.args as Args<'serve_axon'>)
    return
  }
  if (!name.includes('weights')) return
  const netuid = call.args['netuid'] as number
  const index = mechanismIndex(netuid, (call.args['mecid'] as number | undefined) ?? 0)
  ensure(hasStakeForWeights(context, who, netuid), 'NotEnoughStakeToSetWeights')
  if (name.startsWith('reveal_')) {
    checkReveal(context, who, { mecid: 0, ...call.args } as RevealArgs)
    return
  }
  const round = call.args['reveal_round']
  if (typeof round === 'bigint') {
    checkRevealRound(context, round)
    return
  }
  const uid = context.state.find(Subtensor.Uids, netuid, who)
  if (uid === undefined) return
  const commitReveal = context.state.read(Subtensor.CommitRevealWeightsEnabled, netuid)
  if (name.startsWith('commit_')) {
    ensure(passesWeightsRate(context, index, uid), 'CommittingWeightsTooFast')
  } else if (!commitReveal) {
    ensure(passesWeightsRate(context, index, uid), 'SettingWeightsTooFast')
  }
}
