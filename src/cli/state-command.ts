import { existsSync } from 'node:fs'
import type { Config } from '../config/index.js'
import { ValidatorError } from '../validator/errors.js'
import { openState, type StateDatabase, stateFile, stateLocation } from '../validator/state/open.js'

/** The file of the validator's database where the settings name one that is not there. */
export function missingState(config: Config): string | undefined {
  const file = stateFile(stateLocation(config))
  return file === undefined || existsSync(file) ? undefined : file
}

/**
 * Runs with the validator's database that the settings name, and closes it. One that is not there is
 * made only where that is asked for.
 * @throws ValidatorError STATE_ABSENT
 */
export async function withState<T>(
  config: Config,
  run: (db: StateDatabase) => Promise<T>,
  { create = false }: { readonly create?: boolean } = {},
): Promise<T> {
  const path = create ? undefined : missingState(config)
  if (path !== undefined) {
    throw new ValidatorError(
      { code: 'STATE_ABSENT', path },
      `there is no validator database: ${path} does not exist`,
    )
  }
  const db = await openState(stateLocation(config))
  try {
    return await run(db)
  } finally {
    await db.destroy()
  }
}
