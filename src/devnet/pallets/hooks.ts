import { Subtensor } from '../runtime/subtensor-storage.js'
import type { Context } from './context.js'
import { netuids } from './metagraph.js'

/** What happens at the start of every block, before its extrinsics. */
export function onInitialize({ state }: Context): void {
  for (const netuid of netuids(state)) {
    if (state.read(Subtensor.RegistrationsThisBlock, netuid) > 0) {
      state.write(Subtensor.RegistrationsThisBlock, [netuid], 0)
    }
  }
}
