// Our VMAF beside libvmaf's, on the same frames, in one run: CPU and wall time per frame, largest
// difference of a score. Usage: npm run bench -- vmaf [frames]
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fileUrl, runFfmpeg } from '#src/media/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import { libvmafFfmpeg } from './support/libvmaf.js'

const fixtures = fileURLToPath(new URL('../../../test/fixtures/media/', import.meta.url))
const frames = Number(process.argv[2] ?? 24)
const repeats = 3
const SIZES = ['854x480', '1280x720', '1920x1080'] as const

/** CPU time of this process and of its finished children, in milliseconds. */
function cpuMs(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return [11, 12, 13, 14].reduce((sum, i) => sum + Number(fields[i]), 0) * 10
}

interface Cost {
  readonly cpu: number
  readonly wall: number
}

/** The cheapest of a few runs: other work on the machine only ever adds. */
async function cheapest(work: () => Promise<unknown>): Promise<Cost> {
  let best: Cost = { cpu: Number.POSITIVE_INFINITY, wall: Number.POSITIVE_INFINITY }
  for (let i = 0; i < repeats; i += 1) {
    const [cpu, wall] = [cpuMs(), performance.now()]
    await work()
    best = {
      cpu: Math.min(best.cpu, (cpuMs() - cpu) / frames),
      wall: Math.min(best.wall, (performance.now() - wall) / frames),
    }
  }
  return best
}

const MODELS = {
  neg: 'version=vmaf_v0.6.1neg\\:name=vmaf_neg',
  both: 'version=vmaf_v0.6.1\\:name=vmaf|version=vmaf_v0.6.1neg\\:name=vmaf_neg',
} as const

async function libvmaf(ffmpegPath: string, models: string, ref: string, dist: string, log: string) {
  const filter = `[0:v][1:v]libvmaf=n_threads=1:log_fmt=json:log_path=${log}:model='${models}'`
  const inputs = ['-i', fileUrl(dist), '-i', fileUrl(ref)]
  await runFfmpeg([...inputs, '-lavfi', filter, '-f', 'null', '-'], { ffmpegPath, sandbox: 'off' })
  return JSON.parse(await readFile(log, 'utf8')) as {
    frames: { metrics: { vmaf: number; vmaf_neg: number } }[]
  }
}

const ffmpegPath = await libvmafFfmpeg()
const folder = await mkdtemp(join(tmpdir(), 'subreel-bench-'))
const one = await createVmafScorer({ device: 'cpu', lanes: 1 })
const all = await createVmafScorer({ device: 'cpu' })
try {
  console.log(
    `${frames} frames, best of ${repeats}; decoding included on both sides; ours gives both models`,
  )
  console.log('size       ours ms/frame    libvmaf NEG      libvmaf both     CPU ratio    max |Δ|')
  console.log(
    '           CPU     wall     CPU     wall     CPU     wall     NEG   both   vmaf   NEG',
  )
  for (const size of SIZES) {
    const [ref, dist] = ['ref', 'crf32'].map((kind) => join(folder, `${size}.${kind}.mp4`)) as [
      string,
      string,
    ]
    for (const [kind, out] of [
      ['ref', ref],
      ['crf32', dist],
    ] as const) {
      await runFfmpeg([
        ...['-stream_loop', '9', '-i', fileUrl(join(fixtures, `bbb480.${kind}.mp4`))],
        ...['-vf', `scale=${size.replace('x', ':')}:flags=bicubic`, '-frames:v', String(frames)],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '4', fileUrl(out)],
      ])
    }
    const log = join(folder, 'log.json')
    await one.score(ref, dist)
    const ours = await cheapest(() => one.score(ref, dist))
    await all.score(ref, dist)
    const wide = await cheapest(() => all.score(ref, dist))
    const neg = await cheapest(() => libvmaf(ffmpegPath, MODELS.neg, ref, dist, log))
    const both = await cheapest(() => libvmaf(ffmpegPath, MODELS.both, ref, dist, log))
    const theirs = await libvmaf(ffmpegPath, MODELS.both, ref, dist, log)
    const mine = await one.score(ref, dist)
    const delta = (key: 'vmaf' | 'vmaf_neg', series: readonly number[]) =>
      Math.max(...theirs.frames.map(({ metrics }, i) => Math.abs(metrics[key] - (series[i] ?? 0))))
    const cell = (value: number) => value.toFixed(0).padStart(6)
    console.log(
      `${size.padEnd(9)} ${cell(ours.cpu)}   ${cell(wide.wall)}  ${cell(neg.cpu)}   ${cell(neg.wall)}  ${cell(both.cpu)}   ${cell(both.wall)}` +
        `     ${(ours.cpu / neg.cpu).toFixed(2)}  ${(ours.cpu / both.cpu).toFixed(2)}` +
        `   ${delta('vmaf', mine.vmaf.frames).toFixed(4)} ${delta('vmaf_neg', mine.vmafNeg.frames).toFixed(4)}`,
    )
  }
  console.log(
    `peak memory of this process: ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`,
  )
} finally {
  await Promise.all([one.close(), all.close()])
  await rm(folder, { recursive: true, force: true })
}
