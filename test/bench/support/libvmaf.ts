import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { wheel } from './wheel.js'

/** An ffmpeg with libvmaf: the one inside a PyPI wheel, fetched once into .cache. */
export async function libvmafFfmpeg(): Promise<string> {
  const folder = join(await wheel('imageio-ffmpeg==0.8.1', 'libvmaf'), 'imageio_ffmpeg', 'binaries')
  const name = (await readdir(folder)).find((entry) => entry.startsWith('ffmpeg-'))
  const path = join(folder, name ?? '')
  await chmod(path, 0o755)
  return path
}
