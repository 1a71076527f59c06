import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { mapLimit } from '#src/lib/loop.js'
import { probeVideo } from '#src/media/index.js'

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

/** A file made of a clip by arguments of ffmpeg's, or in a way of its own. */
export type Recipe =
  | { readonly args: readonly string[] }
  | { make(clip: Clip, out: string, folder: string): Promise<void> }

/** Follows recipes; those that are only arguments share one decode in one process. */
export async function cook(
  clip: Clip,
  orders: readonly { readonly recipe: Recipe; readonly out: string }[],
  folder: string,
): Promise<void> {
  const outputs = orders.flatMap(({ recipe, out }) =>
    'args' in recipe ? [...recipe.args, '-threads', '1', out] : [],
  )
  const rest = orders.flatMap(({ recipe, out }) => ('make' in recipe ? [{ recipe, out }] : []))
  await Promise.all([
    outputs.length > 0 && ffmpeg('-i', clip.path, ...outputs),
    mapLimit(rest, 2, ({ recipe, out }) => recipe.make(clip, out, folder)),
  ])
}

/** How an honest miner would encode, and how most cheats hide what they did. */
export const ENCODE = ['-c:v', 'libx264', '-preset', 'medium', '-crf', '26', '-pix_fmt', 'yuv420p']

/** Cuts a clip of the fixtures down to the size of this library, or to the picture that a filter makes. */
export async function makeReference(
  name: string,
  fps: number,
  folder: string,
  filter = 'scale=320:180:flags=area',
  pixelFormat: 'yuv420p' | 'yuv420p10le' = 'yuv420p',
): Promise<Clip> {
  const source = fileURLToPath(
    new URL(`../../../test/fixtures/media/${name}.ref.mp4`, import.meta.url),
  )
  const path = `${folder}/${name}.ref.mp4`
  const picture = ['-vf', filter, '-frames:v', String(FRAMES)]
  const high = ['-c:v', 'libx264', '-preset', 'medium', '-crf', '10', '-pix_fmt', pixelFormat]
  await ffmpeg('-i', source, ...picture, '-an', ...high, path)
  const { video } = await probeVideo(path)
  return { name, path, width: video.width, height: video.height, fps }
}
