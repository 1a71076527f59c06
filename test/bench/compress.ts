/**
 * Compression to a VMAF beside ab-av1: same ffmpeg, encoder and preset, mean VMAF v0.6.1 at native size.
 *
 *   npm run bench -- compress --ffmpeg PATH --ab-av1 PATH [--codec h264] [--thresholds 85,90,95] CLIP...
 *
 * PATH of an ffmpeg with libvmaf, and of ab-av1 (`cargo install ab-av1 --version 0.11.7`).
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, delimiter, join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { type Codec, CompressEngine, LibvmafMeter } from '#src/engines/index.js'

const run = promisify(execFile)
const signal = new AbortController().signal

const PRESETS: Readonly<Partial<Record<Codec, readonly string[]>>> = {
  h264: ['--encoder', 'libx264', '--preset', 'medium'],
  hevc: ['--encoder', 'libx265', '--preset', 'medium'],
  av1: ['--encoder', 'libsvtav1', '--preset', '8'],
}

interface Row {
  readonly bytes: number
  readonly seconds: number
  readonly probes: number
  readonly vmaf: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ffmpeg: { type: 'string', default: 'ffmpeg' },
    'ab-av1': { type: 'string', default: 'ab-av1' },
    codec: { type: 'string', default: 'h264' },
    thresholds: { type: 'string', default: '85,90,95' },
  },
})
const codec = values.codec as Codec
const tools = { ffmpegPath: values.ffmpeg }
const meter = new LibvmafMeter(tools)
const engine = new CompressEngine({ meter, tools })
const work = await mkdtemp(join(tmpdir(), 'bench-compress-'))
await symlink(resolve(values.ffmpeg), join(work, 'ffmpeg'))
const env = { ...process.env, PATH: `${work}${delimiter}${process.env['PATH']}` }

async function meanVmaf(reference: string, path: string): Promise<number> {
  const { base = [] } = await meter.measure(reference, path, { every: 1, models: ['base'], signal })
  return base.reduce((sum, value) => sum + value, 0) / base.length
}

async function peer(clip: string, threshold: number): Promise<Row | undefined> {
  const output = join(work, 'peer.mp4')
  await rm(output, { force: true })
  const started = performance.now()
  const args = ['auto-encode', '-i', clip, '-o', output, '--min-vmaf', `${threshold}`]
  const preset = PRESETS[codec] ?? []
  const log = await run(
    values['ab-av1'],
    [...args, '--vmaf-scale', 'none', '--cache', 'false', '--temp-dir', work, ...preset],
    {
      env: { ...env, RUST_LOG: 'ab_av1=info' },
    },
  ).catch((error: Error & { stderr?: string }) => {
    process.stdout.write(`  ab-av1 found nothing: ${error.stderr?.trim().split('\n').at(-1)}\n`)
    return undefined
  })
  if (log === undefined) return undefined
  const seconds = (performance.now() - started) / 1000
  const probes = new Set([...log.stderr.matchAll(/crf (\d+(?:\.\d+)?) VMAF/g)].map((m) => m[1]))
    .size
  const vmaf = await meanVmaf(clip, output)
  return { bytes: (await stat(output)).size, seconds, probes, vmaf }
}

async function ours(clip: string, threshold: number): Promise<Row> {
  const workDir = await mkdtemp(join(work, 'ours-'))
  const started = performance.now()
  const result = await engine.run(
    {
      path: clip,
      params: {
        ...{ vmafThreshold: threshold, codec, mode: 'CRF' },
        ...{ goal: 'mean', model: 'base', effort: 'normal' },
      },
    },
    { workDir, signal },
  )
  const seconds = (performance.now() - started) / 1000
  const vmaf = await meanVmaf(clip, result.path)
  await rm(workDir, { recursive: true })
  return { bytes: result.sizeBytes, seconds, probes: result.encodes, vmaf }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0
const text = (row: Row) =>
  `${row.bytes} B, VMAF ${row.vmaf.toFixed(2)}, ${row.probes} encodes, ${row.seconds.toFixed(1)} s`
const bytes: number[] = []
const seconds: number[] = []
const encodes: number[] = []
let met = 0
await engine.ready(signal)
let runs = 0
try {
  for (const clip of positionals) {
    for (const threshold of values.thresholds.split(',').map(Number)) {
      process.stdout.write(`${basename(clip)} at ${threshold}, ${codec}\n`)
      const [a, b] = [await peer(clip, threshold), await ours(clip, threshold)]
      runs += 1
      if (b.vmaf >= threshold) met += 1
      encodes.push(b.probes)
      process.stdout.write(`  ours   ${text(b)}\n`)
      if (a === undefined) continue
      process.stdout.write(`  ab-av1 ${text(a)}\n`)
      bytes.push(b.bytes / a.bytes)
      seconds.push(b.seconds / a.seconds)
    }
  }
} finally {
  await rm(work, { recursive: true, force: true })
}
const percent = (value: number) => `${(100 * value).toFixed(1)} %`
process.stdout.write(
  `threshold met in ${met} of ${runs}; encodes: median ${median(encodes)}, most ${Math.max(...encodes)}\n` +
    `ours / ab-av1, median: bytes ${percent(median(bytes))}, wall ${percent(median(seconds))}\n`,
)
