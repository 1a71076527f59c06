import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Frames of every clip here: few, so that the whole library runs in about a minute. */
export const FRAMES = 16

/** A reference to attack, small enough to judge in a third of a second. */
export interface Clip {
  readonly name: string
  readonly path: string
  readonly width: number
  readonly height: number
  readonly fps: number
}

export async function ffmpeg(...args: readonly string[]): Promise<void> {
  const quiet = ['-nostdin', '-v', 'error', '-y', '-threads', '2']
  await run('ffmpeg', [...quiet, ...args], { env: { ...process.env, SVT_LOG: '0' } })
}

/** How an honest miner would encode, and how most cheats hide what they did. */
export const ENCODE = ['-c:v', 'libx264', '-preset', 'medium', '-crf', '26', '-pix_fmt', 'yuv420p']

/** Cuts a clip of the fixtures down to the size of this library. */
export async function makeReference(name: string, fps: number, folder: string): Promise<Clip> {
  const source = fileURLToPath(
    new URL(`../../../test/fixtures/media/${name}.ref.mp4`, import.meta.url),
  )
  const [width, height] = [320, 180]
  const path = `${folder}/${name}.ref.mp4`
  const picture = ['-vf', `scale=${width}:${height}:flags=area`, '-frames:v', String(FRAMES)]
  const high = ['-c:v', 'libx264', '-preset', 'medium', '-crf', '10', '-pix_fmt', 'yuv420p']
  await ffmpeg('-i', source, ...picture, '-an', ...high, path)
  return { name, path, width, height, fps }
}
