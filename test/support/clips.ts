import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A folder of the test's own, gone when it ends. */
export async function tempFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'subreel-test-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Runs the system's ffmpeg with the given arguments; returns what it wrote to stdout, as text. */
export async function ffmpeg(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args])
  return stdout
}

export interface ClipOptions {
  readonly frames: number
  readonly size?: string
  readonly fps?: string
  /** Seconds of a 440 Hz tone as AAC, when given. */
  readonly soundSeconds?: number
  /** lavfi source without size and rate; default moving test patterns. */
  readonly source?: string
  /** Output options of the picture. */
  readonly video?: readonly string[]
}

/** Makes an H.264 clip with B-frames. */
export async function makeClip(path: string, options: ClipOptions): Promise<string> {
  const { frames, size = '64x48', fps = '25', soundSeconds, source = 'testsrc2' } = options
  const separator = source.includes('=') ? ':' : '='
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `${source}${separator}size=${size}:rate=${fps}`],
    ...(soundSeconds === undefined
      ? []
      : ['-f', 'lavfi', '-i', `sine=frequency=440:duration=${soundSeconds}`]),
    ...['-frames:v', `${frames}`, '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-bf', '2'],
    ...['-preset', 'ultrafast', '-crf', '12', ...(options.video ?? [])],
    ...(soundSeconds === undefined ? [] : ['-c:a', 'aac', '-b:a', '64k']),
    path,
  )
  return path
}

/** A clip of two scenes of `frames` each, one flat and one busy, with a cut between, and sound. */
export async function twoScenes(folder: string, frames = 12, fps = 25): Promise<string> {
  const path = join(folder, 'in.mp4')
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `color=c=0x203040:size=160x96:rate=${fps}:duration=${frames / fps}`],
    ...['-f', 'lavfi', '-i', `mandelbrot=size=160x96:rate=${fps}`],
    ...['-f', 'lavfi', '-i', `sine=frequency=440:duration=${(2 * frames) / fps}`],
    ...['-filter_complex', '[0:v]noise=alls=6:allf=t[a];[a][1:v]concat[v]'],
    ...['-map', '[v]', '-map', '2:a', '-frames:v', `${2 * frames}`, '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '8', '-c:a', 'aac', path],
  )
  return path
}

/** Presentation times of all frames in time base ticks, as a decoder gives them. */
export async function frameTimes(path: string): Promise<readonly number[]> {
  const listing = await ffmpeg('-i', path, '-map', '0:v', '-f', 'framecrc', '-')
  return listing
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => Number(line.split(',')[2]))
}

/** One checksum over the packets of the sound. */
export function soundChecksum(path: string): Promise<string> {
  return ffmpeg('-i', path, '-map', '0:a', '-c', 'copy', '-f', 'md5', '-')
}

/** Raw pixels of the first frames, without turning them. */
export async function pixels(path: string, frames: number, format: string): Promise<Buffer> {
  const { stdout } = await run(
    'ffmpeg',
    [
      ...['-v', 'error', '-nostdin', '-noautorotate', '-i', path, '-frames:v', `${frames}`],
      ...['-pix_fmt', format, '-f', 'rawvideo', '-'],
    ],
    { encoding: 'buffer', maxBuffer: 256 * 1024 * 1024 },
  )
  return stdout
}
