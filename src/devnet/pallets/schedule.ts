import { Subtensor } from '../runtime/subtensor-storage.js'
import type { View } from '../state/view.js'
import type { Context } from './context.js'

/** A stateful schedule runs an epoch after so many blocks without one, whatever its tempo. */
const MAX_TEMPO = 50_400n

/** Runtimes from 425 on keep the schedule in storage; earlier ones compute it from the height. */
const stateful = ({ runtime }: Context): boolean => runtime.model >= 425

/** Whether the subnet's epoch is due in the block being made. */
function epochDue(context: Context, netuid: number): boolean {
  const { state, block } = context
  const tempo = state.read(Subtensor.Tempo, netuid)
  if (tempo === 0) return false
  if (!stateful(context)) return (block + netuid + 1) % (tempo + 1) === 0
  const pending = state.read(Subtensor.PendingEpochAt, netuid)
  if (pending > 0n && BigInt(block) >= pending) return true
  if (state.read(Subtensor.BlocksSinceLastStep, netuid) > MAX_TEMPO) return true
  return block - Number(state.read(Subtensor.LastEpochBlock, netuid)) >= tempo
}

/** Height-based epoch number of earlier runtimes. */
export const modularEpoch = (block: number, netuid: number, tempo: number): number =>
  Math.floor((block + netuid + 1) / (tempo + 1))

/** The epoch that commits and reveals of this block belong to: one that is due now has begun. */
export function currentEpoch(context: Context, netuid: number): bigint {
  const { state, block } = context
  if (!stateful(context)) {
    return BigInt(modularEpoch(block, netuid, state.read(Subtensor.Tempo, netuid)))
  }
  const index = state.read(Subtensor.SubnetEpochIndex, netuid)
  return epochDue(context, netuid) ? index + 1n : index
}

/** The block of the next epoch on a stateful schedule: a pending one, else by tempo. */
export function nextEpochStart(state: View, netuid: number): bigint | undefined {
  const tempo = BigInt(state.read(Subtensor.Tempo, netuid))
  if (tempo === 0n) return undefined
  const pending = state.read(Subtensor.PendingEpochAt, netuid)
  const automatic = state.read(Subtensor.LastEpochBlock, netuid) + tempo
  return pending > 0n && pending < automatic ? pending : automatic
}

/** Counts the block, and consumes the epoch's slot when it is due. Returns whether it was. */
export function advanceSchedule(context: Context, netuid: number): boolean {
  const { state, block } = context
  const since = state.read(Subtensor.BlocksSinceLastStep, netuid) + 1n
  state.write(Subtensor.BlocksSinceLastStep, [netuid], since)
  if (!epochDue(context, netuid)) return false
  state.write(Subtensor.BlocksSinceLastStep, [netuid], 0n)
  state.write(Subtensor.LastMechansimStepBlock, [netuid], BigInt(block))
  if (stateful(context)) {
    state.write(Subtensor.LastEpochBlock, [netuid], BigInt(block))
    state.write(Subtensor.PendingEpochAt, [netuid], 0n)
    const index = state.read(Subtensor.SubnetEpochIndex, netuid)
    state.write(Subtensor.SubnetEpochIndex, [netuid], index + 1n)
  }
  return true
}
