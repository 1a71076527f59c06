import { sha256 } from '@noble/hashes/sha2.js'
import type { Beacon } from '../drand/beacon.js'
import { openTimelocked } from '../drand/timelock.js'
import { Drand } from '../runtime/drand.js'
import { type AccountId, accountId } from '../runtime/frame-types.js'
import { Subtensor, type TimelockedCommit } from '../runtime/subtensor-storage.js'
import { Timestamp } from '../runtime/system.js'
import { bytes, decode, struct, u16, u64, vec } from '../scale/codec.js'
import { type Context, emitSubtensor, Refusal } from './context.js'
import { mechanismIndex } from './neurons.js'
import { currentEpoch } from './schedule.js'
import { applyWeights } from './weights.js'

/** The plain text of a timelocked commit. */
const payload = struct('WeightsTlockPayload', {
  hotkey: bytes,
  uids: vec(u16),
  values: vec(u16),
  version_key: u64,
})

/** Opens what this epoch must reveal; a commit that cannot be opened or applied is dropped in silence. */
export function revealTimelocked(context: Context, netuid: number, beacon: Beacon): void {
  const { state } = context
  const epoch = currentEpoch(context, netuid)
  const period = state.read(Subtensor.RevealPeriodEpochs, netuid)
  const due = epoch - period
  const mechanisms = state.read(Subtensor.MechanismCountCurrent, netuid)
  for (let mecid = 0; mecid < mechanisms; mecid += 1) {
    const index = mechanismIndex(netuid, mecid)
    for (const at of state.lastKeys(Subtensor.TimelockedWeightCommits, index) as bigint[]) {
      if (at > due) continue
      const commits = state.read(Subtensor.TimelockedWeightCommits, index, at)
      const waiting =
        at < due ? [] : commits.filter((commit) => !reveal(context, netuid, mecid, commit, beacon))
      if (waiting.length === 0) state.remove(Subtensor.TimelockedWeightCommits, index, at)
      else state.write(Subtensor.TimelockedWeightCommits, [index, at], waiting)
    }
  }
}

/** Returns false when the round's signature is not there yet: the commit waits for the next block. */
function reveal(
  context: Context,
  netuid: number,
  mecid: number,
  [who, , sealed, round]: TimelockedCommit,
  beacon: Beacon,
): boolean {
  const signature = pulseSignature(context, round, beacon)
  if (signature === undefined) return false
  const weights = openPayload(sealed, signature)
  if (weights === undefined || !sameAccount(weights.hotkey, who)) return true
  const { uids: dests, values, version_key } = weights
  try {
    context.state.transaction((state) => {
      const inner = { ...context, state }
      applyWeights(inner, who, { netuid, mecid, dests, weights: values, version_key })
    })
  } catch (error) {
    if (error instanceof Refusal) return true
    throw error
  }
  emitSubtensor(context, 'TimelockedWeightsRevealed', mechanismIndex(netuid, mecid), who)
  return true
}

const sameAccount = (hotkey: Uint8Array, who: AccountId): boolean =>
  hotkey.length === 32 && decode(accountId, hotkey) === who

function openPayload(sealed: Uint8Array, signature: Uint8Array) {
  try {
    return decode(payload, openTimelocked(sealed, signature))
  } catch {
    return undefined
  }
}

/** A round's signature from storage, or from the beacon into storage. */
function pulseSignature({ state }: Context, round: bigint, beacon: Beacon): Uint8Array | undefined {
  const stored = state.find(Drand.Pulses, round)
  if (stored !== undefined) return stored.signature
  const signature = beacon.signature(round, Number(state.read(Timestamp.Now)))
  if (signature === undefined) return undefined
  state.write(Drand.Pulses, [round], { round, randomness: sha256(signature), signature })
  return signature
}
