import type { CallValue, COMMITMENTS_CALLS } from '../runtime/calls.js'
import { Commitments } from '../runtime/commitments.js'
import type { AccountId } from '../runtime/frame-types.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { type Context, Refusal } from './context.js'

const MAX_FIELDS = 3

/** `Commitments.set_commitment`: a neuron publishes a few bytes. Sealed ones are never opened here. */
export function setCommitment(
  context: Context,
  who: AccountId,
  { netuid, info }: CallValue<typeof COMMITMENTS_CALLS.set_commitment>,
): void {
  const { state, block } = context
  if (!state.has(Subtensor.Uids, netuid, who)) {
    throw new Refusal('AccountNotAllowedCommit', 'Commitments')
  }
  if (info.fields.length > MAX_FIELDS) {
    throw new Refusal('TooManyFieldsInCommitmentInfo', 'Commitments')
  }
  state.write(Commitments.CommitmentOf, [netuid, who], { deposit: 0n, block, info })
  state.write(Commitments.LastCommitment, [netuid, who], block)
  context.emit({ pallet: 'Commitments', name: 'Commitment', values: [netuid, who] })
}
