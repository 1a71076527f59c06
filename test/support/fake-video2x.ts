/**
 * A program that behaves as Video2X 6.4 does towards its caller: options, progress on stdout, exit
 * codes, a terminal read of stdin, and the frames it loses at the end of a file. Scales with ffmpeg.
 *
 * FAKE_LOST: frames lost (default 2). FAKE_FAIL: exit code to end with after a few frames.
 */
import { spawnSync } from 'node:child_process'
import { fstatSync } from 'node:fs'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Writes an executable `video2x` into `folder` that runs this file; returns its path. */
export async function installFakeVideo2x(folder: string): Promise<string> {
  const path = join(folder, 'video2x')
  const self = fileURLToPath(import.meta.url)
  await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${self}' "$@"\n`)
  await chmod(path, 0o755)
  return path
}

const HELP = `Video2X 6.4.0
Options:
  --help                Display this help message
  -i, --input arg       Input video file path
  -o, --output arg      Output video file path
  -p, --processor arg   Processor to use
  -s, --scaling-factor arg
  -d, --device arg      Vulkan device index
  -c, --codec arg       Output codec
  --no-copy-streams     Do not copy audio and subtitle streams
  --pix-fmt arg
  -e, --extra-encoder-option arg
  --realesrgan-model arg
`

function ffmpeg(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args])
  if (status !== 0) throw new Error(stderr.toString())
  return stdout.toString()
}

function main(args: readonly string[]): number {
  const out = (text: string) => process.stdout.write(text)
  if (args.includes('--version') || args.includes('--help')) {
    out(HELP)
    return 0
  }
  const value = (name: string) => args[args.indexOf(name) + 1] ?? ''
  const extra = args.flatMap((arg, i) => (arg === '-e' ? [args[i + 1] ?? ''] : []))
  const known = new Set([
    '-i',
    '-o',
    '-p',
    '-s',
    '-d',
    '-c',
    '-e',
    '--pix-fmt',
    '--realesrgan-model',
  ])
  const unknown = args.find(
    (arg) => /^--?[a-z]/.test(arg) && !known.has(arg) && !HELP.includes(arg),
  )
  if (unknown !== undefined || value('-p') !== 'realesrgan') {
    out(`[2026-01-01 00:00:00.000] [critical] Error parsing arguments: ${unknown}\n`)
    return 255
  }
  // The real program switches stdin to raw mode and pauses on a newline: a pipe would hang it.
  if (!fstatSync(0).isCharacterDevice()) {
    out('[2026-01-01 00:00:00.000] [error] stdin is not the null device\n')
    return 1
  }
  const source = value('-i')
  const counted = ffmpeg('-i', source, '-map', '0:v', '-f', 'framecrc', '-')
  const frames = counted.split('\n').filter((line) => /^\d/.test(line)).length
  const kept = frames - Number(process.env['FAKE_LOST'] ?? 2)
  for (let i = 1; i <= kept; i += 4) {
    const percent = ((100 * i) / frames).toFixed(2)
    out(
      `\r\x1b[Kframe=${i}/${frames} (${percent}%); fps=9.00; elapsed=00:00:01; remaining=00:00:02`,
    )
  }
  const failure = Number(process.env['FAKE_FAIL'] ?? 0)
  if (failure !== 0) {
    out('\n[2026-01-01 00:00:00.000] [error] vkAllocateMemory failed -2\n')
    return failure
  }
  const scale = value('-s')
  ffmpeg(
    ...['-i', source, '-frames:v', `${kept}`, '-vf', `scale=iw*${scale}:ih*${scale}`],
    ...['-c:v', value('-c'), '-pix_fmt', value('--pix-fmt')],
    ...extra.flatMap((pair) => {
      const [name = '', ...rest] = pair.split('=')
      return [name === 'profile' ? '-profile:v' : `-${name}`, rest.join('=')]
    }),
    value('-o'),
  )
  out('\n[2026-01-01 00:00:00.000] [info] Video processed successfully\n')
  return 0
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = main(process.argv.slice(2))
