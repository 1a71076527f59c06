import type { Config } from '../config/index.js'
import { openState, type StateDatabase, stateLocation } from '../validator/state/open.js'

/** Runs with the validator's database that the settings name, and closes it. */
export async function withState<T>(
  config: Config,
  run: (db: StateDatabase) => Promise<T>,
): Promise<T> {
  const db = await openState(stateLocation(config))
  try {
    return await run(db)
  } finally {
    await db.destroy()
  }
}
