/**
 * SPAN beside lanczos on a clip scaled down by two: VMAF, VMAF NEG and time.
 *
 *   npm run bench -- upscale --ffmpeg PATH [--frames 12] CLIP...      PATH of an ffmpeg with libvmaf
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { LibvmafMeter, SpanEngine } from '#src/engines/index.js'
import { probeVideo } from '#src/media/index.js'

const run = promisify(execFile)
const signal = new AbortController().signal
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ffmpeg: { type: 'string', default: 'ffmpeg' },
    frames: { type: 'string', default: '12' },
  },
})
const tools = { ffmpegPath: values.ffmpeg }
const meter = new LibvmafMeter(tools)
const engine = new SpanEngine({ tools })
const work = await mkdtemp(join(tmpdir(), 'bench-upscale-'))
const ffmpeg = (...args: readonly string[]) =>
  run(values.ffmpeg, ['-v', 'error', '-nostdin', '-y', ...args])
const lossless = ['-an', '-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0']
const mean = (list: readonly number[] = []) =>
  list.reduce((sum, value) => sum + value, 0) / Math.max(1, list.length)

async function score(reference: string, path: string) {
  const quality = await meter.measure(reference, path, {
    every: 1,
    models: ['neg', 'base'],
    signal,
  })
  return { vmaf: mean(quality.base), neg: mean(quality.neg) }
}

try {
  await engine.ready(signal)
  for (const clip of positionals) {
    const { video } = await probeVideo(clip)
    const [width, height] = [video.width & ~3, video.height & ~3]
    const [reference, small] = [join(work, 'reference.mp4'), join(work, 'small.mp4')]
    const crop = `crop=${width}:${height}`
    await ffmpeg('-i', clip, '-frames:v', values.frames, '-vf', crop, ...lossless, reference)
    const down = `scale=${width / 2}:${height / 2}:flags=bicubic`
    await ffmpeg('-i', reference, '-vf', down, ...lossless, small)
    const lanczos = join(work, 'lanczos.mp4')
    const settings = ['-c:v', 'libx264', '-preset', 'slow', '-crf', '18']
    await ffmpeg('-i', small, '-vf', `scale=${width}:${height}:flags=lanczos`, ...settings, lanczos)
    const started = performance.now()
    const result = await engine.run(
      { path: small, params: { scale: 2, codec: 'h264' } },
      { workDir: work, signal },
    )
    const seconds = (performance.now() - started) / 1000 / result.frames
    const [ours, peer] = [await score(reference, result.path), await score(reference, lanczos)]
    process.stdout.write(
      `${basename(clip)} ${width / 2}x${height / 2}: SPAN VMAF ${ours.vmaf.toFixed(2)}, NEG ${ours.neg.toFixed(2)}, ` +
        `${seconds.toFixed(2)} s a frame; lanczos ${peer.vmaf.toFixed(2)}, ${peer.neg.toFixed(2)}; ` +
        `gain ${(ours.vmaf - peer.vmaf).toFixed(2)}, ${(ours.neg - peer.neg).toFixed(2)}\n`,
    )
  }
} finally {
  await engine.close()
  await rm(work, { recursive: true, force: true })
}
