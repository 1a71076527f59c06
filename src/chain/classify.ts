/**
 * One name and one course of action for every way in which the chain refuses an extrinsic.
 *
 * A refusal arrives in two forms: as a dispatch error in the block's events (named by the metadata), or
 * before inclusion as RPC error 1010 "Invalid Transaction" with data "Custom error: N" (newer runtimes).
 */
export type RefusalAction = 'retry' | 'wait' | 'stop'

export interface Refusal {
  readonly error: string
  readonly action: RefusalAction
  readonly message: string
}

/** Names of `Custom error: N`, from subtensor's transaction validity errors (runtime 425). */
const CUSTOM_ERRORS: Readonly<Record<number, string>> = {
  0: 'ColdKeyInSwapSchedule',
  1: 'NotEnoughStakeToSetWeights',
  2: 'BalanceTooLow',
  3: 'SubnetNotExists',
  4: 'HotKeyAccountNotExists',
  5: 'NotEnoughStakeToWithdraw',
  6: 'RateLimitExceeded',
  7: 'InsufficientLiquidity',
  8: 'SlippageTooHigh',
  9: 'TransferDisallowed',
  10: 'HotKeyNotRegisteredInNetwork',
  11: 'InvalidIpAddress',
  12: 'ServingRateLimitExceeded',
  13: 'InvalidPort',
  14: 'ZeroMaxAmount',
  15: 'InvalidRevealRound',
  16: 'CommitNotFound',
  17: 'RevealTooEarly',
  18: 'InputLengthsUnequal',
  19: 'HotKeyNotRegisteredInSubNet',
  20: 'EvmKeyAssociateRateLimitExceeded',
  21: 'ColdkeySwapDisputed',
  22: 'InvalidRealAccount',
  23: 'ShieldedTxParsingError',
  24: 'ShieldedTxInvalid',
  25: 'NonAssociatedColdKey',
  26: 'DelegateTakeTooLow',
  27: 'DelegateTakeTooHigh',
  255: 'BadRequest',
}

/** What may pass if tried again soon. */
const RETRY: Readonly<Record<string, string>> = {
  TransactionStale: 'the nonce was used by another extrinsic; a fresh one is taken',
  TransactionFuture: 'the nonce is ahead of the account; a fresh one is taken',
  TransactionBadProof:
    'the signature does not verify, as after a runtime upgrade; it is made again',
  TransactionAncientBirthBlock: 'the extrinsic outlived its era; it is made again',
  TransactionExhaustsResources: 'the block is full',
  TransactionPriorityTooLow: 'another extrinsic with this nonce waits in the pool',
  TransactionTemporarilyBanned: 'the pool refuses this extrinsic for a while',
  TransactionPoolFull: 'the pool is full',
  NodeRefused: 'the node could not take the extrinsic, for a reason of its own',
  TransactionExpired: 'the extrinsic was not included before its era ended',
  InvalidRevealRound: 'the drand round has passed; the commit is sealed to a later one',
  CommitRevealEnabled: 'the subnet switched commit-reveal on; the weights are committed instead',
  CommitRevealDisabled: 'the subnet switched commit-reveal off; the weights are set instead',
  IncorrectCommitRevealVersion: 'the commit-reveal version changed; it is read again',
}

/** What passes by itself after some blocks or another event on chain. */
const WAIT: Readonly<Record<string, string>> = {
  RateLimitExceeded: 'weights were set or committed too recently',
  SettingWeightsTooFast: 'weights were set too recently',
  CommittingWeightsTooFast: 'weights were committed too recently',
  NetworkTxRateLimitExceeded: 'too many transactions of this kind were made recently',
  TxRateLimitExceeded: 'too many transactions of this kind were made recently',
  ServingRateLimitExceeded: 'the axon was announced too recently',
  TooManyUnrevealedCommits: 'ten commits wait for their reveal',
  RevealTooEarly: 'the reveal period has not begun',
  TooManyRegistrationsThisBlock: 'too many neurons registered in this block',
  TooManyRegistrationsThisInterval: 'too many neurons registered in this interval',
  RegistrationPriceLimitExceeded: 'the price is above the limit given',
  WeightsEmpty: 'no weight is positive and no good vector is left to send again',
  NoNeuronIdAvailable: 'every neuron of the subnet is immune for now',
}

/** What needs somebody to act. */
const STOP: Readonly<Record<string, string>> = {
  HotKeyNotRegisteredInSubNet: 'the hotkey is not registered in this subnet; register it',
  HotKeyNotRegisteredInNetwork: 'the hotkey is not registered in any subnet; register it',
  HotKeyAccountNotExists: 'the hotkey has no account on this network; register it',
  HotKeyAlreadyRegisteredInSubNet: 'the hotkey is registered in this subnet already',
  NeuronNoValidatorPermit: 'the hotkey has no validator permit; it needs more stake',
  NotEnoughStakeToSetWeights: 'the stake is below what setting weights takes',
  IncorrectWeightVersionKey: 'the subnet requires a newer version of this software; update it',
  MaxWeightExceeded: 'one weight is above the share the subnet allows',
  WeightVecLengthIsLow: 'the subnet wants more weights than were given',
  DuplicateUids: 'a uid is given twice',
  UidVecContainInvalidOne: 'a uid is not in the subnet',
  WeightVecNotEqualSize: 'uids and weights differ in number',
  UidsLengthExceedUidsInSubNet: 'more uids were given than the subnet has',
  CanNotSetRootNetworkWeights: 'weights cannot be set on the root network',
  MechanismDoesNotExist: 'the subnet has no such mechanism',
  SubnetNotExists: 'the subnet does not exist on this network',
  NoWeightsCommitFound: 'the chain holds no such commit',
  CommitNotFound: 'the chain holds no such commit',
  InvalidRevealCommitHashNotMatch: 'the reveal does not match the commit',
  ExpiredWeightCommit: 'the reveal came too late',
  InvalidIpAddress: 'the chain refuses this address for an axon',
  InvalidIpType: 'the chain refuses this kind of address',
  InvalidPort: 'the chain refuses this port',
  SubNetRegistrationDisabled: 'the owner switched registration off',
  RegistrationNotPermittedOnRootSubnet: 'neurons do not register on the root network',
  NotEnoughBalanceToStake: 'the coldkey cannot pay the price',
  BalanceTooLow: 'the account cannot pay',
  NonAssociatedColdKey: 'the hotkey belongs to another coldkey',
  TransactionPayment: 'the account cannot pay the fee',
  HotkeyInUse: 'another process sets weights with this hotkey',
}

/** Names and acts on a refusal by its runtime name. An unknown name stops: nobody knows that it heals. */
export function classify(error: string, detail?: string): Refusal {
  const retry = RETRY[error]
  const wait = WAIT[error]
  const action = retry !== undefined ? 'retry' : wait !== undefined ? 'wait' : 'stop'
  const meaning = retry ?? wait ?? STOP[error] ?? 'the runtime refused it'
  return { error, action, message: detail === undefined ? meaning : `${meaning} (${detail})` }
}

/** Polkadot's texts for `InvalidTransaction` and `UnknownTransaction`, which carry no other name. */
const POOL_TEXTS: readonly (readonly [RegExp, string])[] = [
  [/outdated|stale/i, 'TransactionStale'],
  [/valid in the future|future/i, 'TransactionFuture'],
  [/bad signature|badproof/i, 'TransactionBadProof'],
  [/ancient birth block/i, 'TransactionAncientBirthBlock'],
  [/exhaust/i, 'TransactionExhaustsResources'],
  [/pay some fees|inability to pay/i, 'TransactionPayment'],
]

/**
 * Names the error that `author_submitExtrinsic` answered with. `undefined` for one that is not about
 * the extrinsic (the node's own trouble), and `AlreadyImported` for one the pool has already.
 *
 * @param code JSON-RPC error code
 * @param data the error's `data`, as text
 */
export function nameSubmitError(code: number, data: string): string | undefined {
  const custom = /Custom error: (\d+)/i.exec(data)?.[1]
  if (custom !== undefined) return CUSTOM_ERRORS[Number(custom)] ?? `Custom${custom}`
  switch (code) {
    case 1010:
    case 1011:
      return POOL_TEXTS.find(([pattern]) => pattern.test(data))?.[1] ?? 'TransactionInvalid'
    case 1012:
      return 'TransactionTemporarilyBanned'
    case 1013:
      return 'AlreadyImported'
    case 1014:
      return 'TransactionPriorityTooLow'
    case 1016:
      return 'TransactionPoolFull'
    default:
      return undefined
  }
}
