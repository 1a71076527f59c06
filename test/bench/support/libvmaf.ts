import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const WHEEL = 'imageio-ffmpeg==0.8.1'
const cache = fileURLToPath(new URL('../../../../.cache/libvmaf/', import.meta.url))

/** An ffmpeg with libvmaf: the one inside a PyPI wheel, fetched once into .cache. */
export async function libvmafFfmpeg(): Promise<string> {
  const folder = join(cache, 'imageio_ffmpeg', 'binaries')
  const found = async () =>
    (await readdir(folder).catch(() => [])).find((name) => name.startsWith('ffmpeg-'))
  if ((await found()) === undefined) {
    await mkdir(cache, { recursive: true })
    await run('pip', ['download', '--quiet', '--no-deps', '--dest', cache, WHEEL])
    const wheel = (await readdir(cache)).find((name) => name.endsWith('.whl'))
    await run('python3', ['-m', 'zipfile', '-e', join(cache, wheel ?? ''), cache])
  }
  const path = join(folder, (await found()) ?? '')
  await chmod(path, 0o755)
  return path
}
