import { blake2Hash } from '../block.js'
import type { CallValue, SUBTENSOR_CALLS } from '../runtime/calls.js'
import { Drand } from '../runtime/drand.js'
import { type AccountId, accountId, type Hash } from '../runtime/frame-types.js'
import { type HashCommit, Subtensor } from '../runtime/subtensor-storage.js'
import { encode, tuple, u16, u64, vec } from '../scale/codec.js'
import { type Context, emitSubtensor, ensure } from './context.js'
import { mechanismIndex, setLastUpdate } from './neurons.js'
import { currentEpoch, modularEpoch } from './schedule.js'
import { applyWeights, ensureMechanism, passesWeightsRate } from './weights.js'

type Calls = typeof SUBTENSOR_CALLS
type CommitArgs = CallValue<Calls['commit_mechanism_weights']>
export type RevealArgs = CallValue<Calls['reveal_mechanism_weights']>
export type TimelockArgs = CallValue<Calls['commit_timelocked_mechanism_weights']>

/** Commits of one hotkey that may wait for their reveal. */
const MAX_COMMITS = 10

const committed = tuple<[AccountId, number, number[], number[], number[], bigint]>(
  accountId,
  u16,
  vec(u16),
  vec(u16),
  vec(u16),
  u64,
)

/** What a hash commit commits to: signer, storage index, uids, values, salt and version key. */
export const commitHash = (who: AccountId, args: RevealArgs): Hash =>
  blake2Hash(
    encode(committed, [
      who,
      mechanismIndex(args.netuid, args.mecid),
      args.uids,
      args.values,
      args.salt,
      args.version_key,
    ]),
  )

/** The epoch a stored hash commit was made in: newer runtimes store it, older ones its block. */
function epochOf({ runtime, state }: Context, netuid: number, commit: HashCommit): bigint {
  if (runtime.model >= 425) return commit[1]
  return BigInt(modularEpoch(Number(commit[1]), netuid, state.read(Subtensor.Tempo, netuid)))
}

function revealEpoch(context: Context, netuid: number, commit: HashCommit): bigint {
  return epochOf(context, netuid, commit) + context.state.read(Subtensor.RevealPeriodEpochs, netuid)
}

const expired = (context: Context, netuid: number, commit: HashCommit): boolean =>
  currentEpoch(context, netuid) > revealEpoch(context, netuid, commit)

const mayReveal = (context: Context, netuid: number, commit: HashCommit): boolean =>
  currentEpoch(context, netuid) === revealEpoch(context, netuid, commit)

function unexpired(
  context: Context,
  netuid: number,
  commits: readonly HashCommit[],
): [expired: HashCommit[], rest: HashCommit[]] {
  const first = commits.findIndex((commit) => !expired(context, netuid, commit))
  const cut = first < 0 ? commits.length : first
  return [commits.slice(0, cut), commits.slice(cut)]
}

function newCommit(context: Context, netuid: number, hash: Hash): HashCommit {
  const { block, state, runtime } = context
  if (runtime.model >= 425) return [hash, currentEpoch(context, netuid), BigInt(block), 0n]
  const tempo = state.read(Subtensor.Tempo, netuid)
  const period = Number(state.read(Subtensor.RevealPeriodEpochs, netuid))
  const first = (modularEpoch(block, netuid, tempo) + period) * (tempo + 1) - (netuid + 1)
  return [hash, BigInt(block), BigInt(first), BigInt(first + tempo)]
}

/** `commit_weights` and its mechanism form. */
export function commitWeights(context: Context, who: AccountId, args: CommitArgs): void {
  const { state, block } = context
  const { netuid } = args
  if (context.runtime.model >= 393) ensureMechanism(context, netuid, args.mecid)
  const index = mechanismIndex(netuid, args.mecid)
  ensure(state.read(Subtensor.CommitRevealWeightsEnabled, netuid), 'CommitRevealDisabled')
  const uid = state.find(Subtensor.Uids, netuid, who)
  ensure(uid !== undefined, 'HotKeyNotRegisteredInSubNet')
  ensure(passesWeightsRate(context, index, uid), 'CommittingWeightsTooFast')
  const stored = state.find(Subtensor.WeightCommits, index, who) ?? []
  const [, waiting] = unexpired(context, netuid, stored)
  ensure(waiting.length < MAX_COMMITS, 'TooManyUnrevealedCommits')
  const commit = newCommit(context, netuid, args.commit_hash)
  state.write(Subtensor.WeightCommits, [index, who], [...waiting, commit])
  setLastUpdate(state, index, uid, block)
  emitSubtensor(context, 'WeightsCommitted', who, index, args.commit_hash)
}

/** What is checked of a reveal before inclusion. */
export function checkReveal(context: Context, who: AccountId, args: RevealArgs): void {
  const index = mechanismIndex(args.netuid, args.mecid)
  const hash = commitHash(who, args)
  const commits = context.state.find(Subtensor.WeightCommits, index, who)
  const commit = commits?.find(([known]) => known === hash)
  ensure(commit !== undefined, 'NoWeightsCommitFound')
  ensure(mayReveal(context, args.netuid, commit), 'RevealTooEarly')
}

/** `reveal_weights` and its mechanism form. */
export function revealWeights(context: Context, who: AccountId, args: RevealArgs): void {
  const { state } = context
  const { netuid } = args
  const index = mechanismIndex(netuid, args.mecid)
  ensure(state.read(Subtensor.CommitRevealWeightsEnabled, netuid), 'CommitRevealDisabled')
  const stored = state.find(Subtensor.WeightCommits, index, who)
  ensure(stored !== undefined, 'NoWeightsCommitFound')
  const [gone, waiting] = unexpired(context, netuid, stored)
  const hash = commitHash(who, args)
  const at = waiting.findIndex(([known]) => known === hash)
  const commit = waiting[at]
  if (commit === undefined) {
    ensure(!gone.some(([known]) => known === hash), 'ExpiredWeightCommit')
    ensure(waiting.length > 0, 'NoWeightsCommitFound')
    ensure(false, 'InvalidRevealCommitHashNotMatch')
  } else {
    ensure(mayReveal(context, netuid, commit), 'RevealTooEarly')
    const rest = waiting.slice(at + 1)
    if (rest.length === 0) state.remove(Subtensor.WeightCommits, index, who)
    else state.write(Subtensor.WeightCommits, [index, who], rest)
    const { uids: dests, values: weights, mecid, version_key } = args
    applyWeights(context, who, { netuid, mecid, dests, weights, version_key })
    emitSubtensor(context, 'WeightsRevealed', who, index, hash)
  }
}

/** A sealed commit for a round that was published already could be read by everybody. */
export function checkRevealRound({ state }: Context, round: bigint): void {
  ensure(round >= state.read(Drand.LastStoredRound), 'InvalidRevealRound')
}

/** `commit_timelocked_weights` and its mechanism and version 4 forms. */
export function commitTimelocked(context: Context, who: AccountId, args: TimelockArgs): void {
  const { state, block } = context
  const { netuid, mecid, commit } = args
  ensureMechanism(context, netuid, mecid)
  const index = mechanismIndex(netuid, mecid)
  ensure(state.read(Subtensor.CommitRevealWeightsEnabled, netuid), 'CommitRevealDisabled')
  const version = state.read(Subtensor.CommitRevealWeightsVersion)
  ensure(args.commit_reveal_version === version, 'IncorrectCommitRevealVersion')
  const uid = state.find(Subtensor.Uids, netuid, who)
  ensure(uid !== undefined, 'HotKeyNotRegisteredInSubNet')
  ensure(passesWeightsRate(context, index, uid), 'CommittingWeightsTooFast')
  const epoch = currentEpoch(context, netuid)
  const commits = state.read(Subtensor.TimelockedWeightCommits, index, epoch)
  const own = commits.filter(([account]) => account === who)
  ensure(own.length < MAX_COMMITS, 'TooManyUnrevealedCommits')
  state.write(
    Subtensor.TimelockedWeightCommits,
    [index, epoch],
    [...commits, [who, BigInt(block), commit, args.reveal_round]],
  )
  setLastUpdate(state, index, uid, block)
  const hash = blake2Hash(commit)
  emitSubtensor(context, 'TimelockedWeightsCommitted', who, index, hash, args.reveal_round)
}
