import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TempFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * A new folder in `parent`, the system's for temporary files when absent, whose name begins with
 * `prefix`. It goes with all that is in it when disposed: `await using folder = await tempFolder('mine-')`.
 */
export async function tempFolder(prefix: string, parent: string = tmpdir()): Promise<TempFolder> {
  const path = await mkdtemp(join(parent, prefix))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
