import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const media = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))
const reference = (name: string) => join(media, `${name}.ref.mp4`)
const SINGLE = ['bbb480', 'launch', 'flattitle', 'texturepan'] as const
const JOINED = [
  ['launch', 'texturepan', 'bbb480'],
  ['flattitle', 'bbb480', 'launch', 'texturepan'],
] as const

/** Six clips: the four references of the fixtures, and two of several scenes cut from them. */
export async function benchClips(ffmpeg: string, folder: string): Promise<string[]> {
  const joined = JOINED.map(async (names) => {
    const path = join(folder, `${names.join('+')}.mp4`)
    const scale = 'scale=480:270:flags=bicubic,setsar=1,settb=1/25,setpts=N'
    const parts = names.map((_, i) => `[${i}:v]${scale}[v${i}]`)
    const labels = names.map((_, i) => `[v${i}]`).join('')
    await run(ffmpeg, [
      ...['-v', 'error', '-nostdin', '-y', ...names.flatMap((name) => ['-i', reference(name)])],
      ...['-filter_complex', `${parts.join(';')};${labels}concat=n=${names.length},fps=25[o]`],
      ...['-map', '[o]', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', path],
    ])
    return path
  })
  return [...SINGLE.map(reference), ...(await Promise.all(joined))]
}
