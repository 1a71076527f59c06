/**
 * Compression to a VMAF beside ab-av1: mean VMAF v0.6.1 at native size, same ffmpeg.
 *
 *   npm run bench -- compress [--modes same,tuned,free,worst,worst-same] [--codec h264] [--thresholds 85,90,95]
 *     [--clips usual|held-out] [CLIP...]
 *
 * same: the same encoder, preset and settings. tuned: the same encoder and preset, with x264 tuned for VMAF. free: our
 * own choice of encoder and effort, in the time that ab-av1 took. worst: every scene must reach the threshold
 * (harmonic NEG); the peer is the cheapest single CRF at the usual preset whose worst scene does, found by
 * bisection, and our time is what that took. worst-same: the same preset and settings as that peer.
 *
 * Beside bytes and wall it says what CPU each took, which other work on the machine cannot change.
 *
 * Six clips of our own choice when none is given, or four that no setting was chosen on. Wants ab-av1 on the path
 * (`cargo install ab-av1 --version 0.11.7`), or `--ab-av1 PATH`; fetches an ffmpeg with libvmaf unless
 * `--ffmpeg PATH` names one.
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { analyse, type Shot } from '#src/engines/compress/analyse.js'
import { EncoderShelf } from '#src/engines/compress/choose-encoder.js'
import { pool } from '#src/engines/compress/meter.js'
import { encode } from '#src/engines/compress/source.js'
import {
  type Codec,
  CompressEngine,
  type CompressParams,
  LibvmafMeter,
} from '#src/engines/index.js'
import { probeVideo } from '#src/media/index.js'
import { AbAv1 } from './support/ab-av1.js'
import { benchClips } from './support/bench-clips.js'
import { libvmafFfmpeg } from './support/libvmaf.js'

const signal = new AbortController().signal
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ffmpeg: { type: 'string' },
    'ab-av1': { type: 'string', default: 'ab-av1' },
    codec: { type: 'string', default: 'h264' },
    thresholds: { type: 'string', default: '85,90,95' },
    modes: { type: 'string', default: 'same,free,worst' },
    clips: { type: 'string', default: 'usual' },
  },
})

/** One answer beside the peer's. */
interface Row {
  readonly mode: string
  readonly met: boolean
  readonly encodes: number
  readonly bytes: number
  readonly wall: number
  /** CPU time, ours over theirs: what the wall would be on a machine with nothing else to do. */
  readonly cpu: number
}

const codec = values.codec as Codec
const modes = new Set(values.modes.split(','))
const set = values.clips === 'held-out' ? 'held-out' : 'usual'
const thresholds = values.thresholds.split(',').map(Number)
const ffmpegPath = values.ffmpeg ?? (await libvmafFfmpeg())
// Nobody waits for what runs inside a sandbox, so its CPU would not be seen; the peer has none either.
const tools = { ffmpegPath, sandbox: 'off' } as const
const meter = new LibvmafMeter(tools)
const work = await mkdtemp(join(tmpdir(), 'bench-compress-'))
const peer = await AbAv1.open(values['ab-av1'], ffmpegPath, join(work, 'peer'))
const rows: Row[] = []

async function meanVmaf(reference: string, path: string): Promise<number> {
  const { base = [] } = await meter.measure(reference, path, { every: 1, models: ['base'], signal })
  return pool(base, 'mean')
}

/** Seconds of CPU that this process and its ended children have used. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  // utime, stime, cutime, cstime are fields 14 to 17, in hundredths; the second may hold spaces.
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (user + system) / 1e6 + (Number(fields[13]) + Number(fields[14])) / 100
}

/** What a piece of work took, in seconds. */
async function timed<T>(work: () => Promise<T>) {
  const [started, spent] = [performance.now(), cpuSeconds()]
  const result = await work()
  return { result, seconds: (performance.now() - started) / 1000, cpu: cpuSeconds() - spent }
}

async function ours(clip: string, params: CompressParams) {
  // A new one each time: it would remember what it measured at the last threshold.
  const engine = new CompressEngine({ meter, tools })
  await engine.ready(signal)
  const workDir = await mkdtemp(join(work, 'ours-'))
  const run = () => engine.run({ path: clip, params }, { workDir, signal })
  const { result, ...took } = await timed(run)
  return { ...result, ...took }
}

interface Took {
  readonly seconds: number
  readonly cpu: number
}

const say = (who: string, bytes: number, vmaf: number, encodes: number, took: Took) =>
  process.stdout.write(
    `  ${who.padEnd(8)} ${bytes} B, VMAF ${vmaf.toFixed(3)}, ${encodes.toFixed(1)} encodes, ` +
      `${took.seconds.toFixed(1)} s, CPU ${took.cpu.toFixed(1)} s\n`,
  )

const ratiosOf = (got: Took & { readonly sizeBytes: number }, bytes: number, peer: Took) => ({
  bytes: got.sizeBytes / bytes,
  wall: got.seconds / peer.seconds,
  cpu: got.cpu / peer.cpu,
})

async function besideAbAv1(clip: string, threshold: number): Promise<void> {
  const { result: theirs, ...peerTook } = await timed(() => peer.encode(clip, threshold, codec))
  const base = { vmafThreshold: threshold, mode: 'CRF', goal: 'mean', model: 'base' } as const
  const bytes = theirs === undefined ? Number.NaN : (await stat(theirs.path)).size
  if (theirs !== undefined) {
    say('ab-av1', bytes, await meanVmaf(clip, theirs.path), theirs.probes + 1, peerTook)
  }
  const wanted: Record<string, CompressParams> = {
    same: { ...base, codec, effort: 'normal', tune: 'none' },
    tuned: { ...base, codec, effort: 'normal' },
    free: { ...base, codec: 'av1', budgetMs: peerTook.seconds * 1000 },
  }
  for (const [mode, params] of Object.entries(wanted)) {
    if (!modes.has(mode) || (mode === 'free' && theirs === undefined)) continue
    const got = await ours(clip, params)
    const vmaf = await meanVmaf(clip, got.path)
    say(mode, got.sizeBytes, vmaf, got.encodes, got)
    const met = vmaf >= threshold
    rows.push({ mode, met, encodes: got.encodes, ...ratiosOf(got, bytes, peerTook) })
  }
}

/** What the worst of the shots scores. */
async function worstOf(clip: string, path: string, shots: readonly Shot[]): Promise<number> {
  const { neg = [] } = await meter.measure(clip, path, { every: 1, models: ['neg'], signal })
  return Math.min(...shots.map(({ start, end }) => pool(neg.slice(start, end), 'harmonic')))
}

async function besideOneCrf(clip: string, threshold: number): Promise<void> {
  const { video } = await probeVideo(clip)
  const { frames, shots } = await analyse(clip, video, { signal })
  if (shots.length < 2) return
  const encoder = await new EncoderShelf(tools).pick(codec, false, signal)
  const output = join(work, 'single.mp4')
  const source = { path: clip, frames, video }
  const search = async () => {
    let [low, high, bytes, tries] = [80, 480, Number.NaN, 0]
    while (high - low > 1) {
      const tenths = Math.round((low + high) / 2)
      const settings = { crf: tenths / 10, effort: 'normal' } as const
      const sizeBytes = await encode(source, output, encoder, settings, { ...tools, signal })
      tries += 1
      if ((await worstOf(clip, output, shots)) >= threshold) [low, bytes] = [tenths, sizeBytes]
      else high = tenths
    }
    return { bytes, tries }
  }
  const { result: single, ...singleTook } = await timed(search)
  say('one CRF', single.bytes, threshold, single.tries, singleTook)
  const base = { vmafThreshold: threshold, codec, mode: 'CRF', goal: 'worst-scene' } as const
  const wanted: Record<string, CompressParams> = {
    worst: { ...base, budgetMs: singleTook.seconds * 1000 },
    'worst-same': { ...base, effort: 'normal', tune: 'none' },
  }
  for (const [mode, params] of Object.entries(wanted)) {
    if (!modes.has(mode)) continue
    const got = await ours(clip, params)
    const quality = await worstOf(clip, got.path, shots)
    say(mode, got.sizeBytes, quality, got.encodes, got)
    const ratios = ratiosOf(got, single.bytes, singleTook)
    rows.push({ mode, met: quality >= threshold, encodes: got.encodes, ...ratios })
  }
}

const quantile = (list: readonly number[], share: number) =>
  [...list].sort((a, b) => a - b)[Math.round(share * (list.length - 1))] ?? Number.NaN
const percent = (value: number) => `${(100 * value).toFixed(1)} %`

const ONE_CRF = 'the cheapest single CRF whose worst scene meets the threshold, at the usual preset'
const PEERS: Readonly<Record<string, string>> = {
  same: 'ab-av1, same encoder and settings',
  tuned: 'ab-av1, same encoder and preset, x264 tuned by us',
  free: 'ab-av1, our own choice of both in its time',
  worst: `${ONE_CRF}; our own effort and tuning in the time of its bisection`,
  'worst-same': `${ONE_CRF}; same settings`,
}

function summary(mode: string): string {
  const own = rows.filter((row) => row.mode === mode)
  const paired = own.filter(({ bytes }) => !Number.isNaN(bytes))
  const of = (field: 'bytes' | 'wall' | 'cpu') => paired.map((row) => row[field])
  const encodes = own.map((row) => row.encodes)
  const frugal = of('bytes').filter((ratio) => ratio <= 1.005).length
  return (
    `${mode} (beside ${PEERS[mode]}): threshold met in ${own.filter(({ met }) => met).length} of ${own.length}; ` +
    `encodes: median ${quantile(encodes, 0.5).toFixed(1)}, most ${quantile(encodes, 1).toFixed(1)}; ` +
    `bytes: median ${percent(quantile(of('bytes'), 0.5))}, most ${percent(quantile(of('bytes'), 1))}, ` +
    `at most 100.5 % in ${frugal} of ${paired.length}; ` +
    `wall: median ${percent(quantile(of('wall'), 0.5))}, most ${percent(quantile(of('wall'), 1))}; ` +
    `CPU: median ${percent(quantile(of('cpu'), 0.5))}, most ${percent(quantile(of('cpu'), 1))}\n`
  )
}

try {
  const clips = positionals.length > 0 ? positionals : await benchClips(set, ffmpegPath, work)
  for (const clip of clips) {
    for (const threshold of thresholds) {
      process.stdout.write(`${basename(clip)} at ${threshold}, ${codec}\n`)
      if (['same', 'tuned', 'free'].some((mode) => modes.has(mode)))
        await besideAbAv1(clip, threshold)
      if (modes.has('worst') || modes.has('worst-same')) await besideOneCrf(clip, threshold)
    }
  }
} finally {
  await rm(work, { recursive: true, force: true })
}
for (const mode of new Set(rows.map((row) => row.mode))) process.stdout.write(summary(mode))
