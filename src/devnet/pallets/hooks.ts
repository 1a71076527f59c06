import type { Beacon } from '../drand/beacon.js'
import { Drand } from '../runtime/drand.js'
import { Subtensor } from '../runtime/subtensor-storage.js'
import { Timestamp } from '../runtime/system.js'
import type { Context } from './context.js'
import { runEpoch } from './epoch.js'
import { netuids } from './metagraph.js'
import { revealTimelocked } from './reveals.js'
import { advanceSchedule, modularEpoch } from './schedule.js'

/** What happens at the start of every block, before its extrinsics. */
export function onInitialize(context: Context, beacon: Beacon): void {
  const { state } = context
  followBeacon(context, beacon)
  for (const netuid of netuids(state)) {
    if (netuid === 0) continue
    if (state.read(Subtensor.RegistrationsThisBlock, netuid) > 0) {
      state.write(Subtensor.RegistrationsThisBlock, [netuid], 0)
    }
    resetInterval(context, netuid)
    if (context.runtime.model >= 393) revealTimelocked(context, netuid, beacon)
    const blocks = state.read(Subtensor.BlocksSinceLastStep, netuid) + 1n
    if (advanceSchedule(context, netuid)) runEpoch(context, netuid, blocks)
  }
}

/** Notes how far the beacon is. Pulses themselves are stored when a reveal asks for one. */
function followBeacon({ state }: Context, beacon: Beacon): void {
  const round = beacon.roundAt(Number(state.read(Timestamp.Now)))
  if (round > state.read(Drand.LastStoredRound)) state.write(Drand.LastStoredRound, [], round)
}

function resetInterval({ state, block }: Context, netuid: number): void {
  const interval = state.read(Subtensor.AdjustmentInterval, netuid)
  if (interval === 0 || block % interval !== 0) return
  if (state.read(Subtensor.RegistrationsThisInterval, netuid) > 0) {
    state.write(Subtensor.RegistrationsThisInterval, [netuid], 0)
  }
}

/** What an upgrade from an older runtime changes in storage: the schedule goes on from its epoch. */
export function migrate({ state, runtime, block }: Context, from: number): void {
  if (from >= 425 || runtime.model < 425) return
  for (const netuid of netuids(state)) {
    const tempo = state.read(Subtensor.Tempo, netuid)
    const epoch = modularEpoch(block, netuid, tempo)
    const began = Math.max(0, epoch * (tempo + 1) - (netuid + 1))
    state.write(Subtensor.SubnetEpochIndex, [netuid], BigInt(epoch))
    state.write(Subtensor.LastEpochBlock, [netuid], BigInt(began))
  }
}
