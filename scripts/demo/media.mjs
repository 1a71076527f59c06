// The demo's clips: real footage, made small so that two cores finish in minutes.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from './processes.mjs'

const run = promisify(execFile)
const SHIPPED = ['bbb480.ref.mp4', 'launch.ref.mp4', 'texturepan.ref.mp4']

/** Challenges are cuts of a second, some of them sped up. */
const MIN_SECONDS = 1.2

/** Says what is wrong with a user's clip before anything is started. */
export async function checkClip(path) {
  const wanted = ['-select_streams', 'v:0', '-show_entries', 'stream=width:format=duration']
  const probed = await run('ffprobe', ['-v', 'error', ...wanted, '-of', 'json', path]).catch(
    ({ stderr, message }) => {
      throw new Error(`${path} cannot be used: ${stderr?.trim().split('\n').at(-1) || message}`)
    },
  )
  const { streams = [], format = {} } = JSON.parse(probed.stdout)
  if (streams.length === 0) throw new Error(`${path} holds no video`)
  if (!(Number(format.duration) >= MIN_SECONDS))
    throw new Error(`${path} is too short: ${MIN_SECONDS} seconds at least are needed`)
}

/** Fills `dir` with the corpus: the user's clip, or the ones that ship. */
export async function makeCorpus(dir, userClip) {
  await mkdir(dir, { recursive: true })
  const sources =
    userClip === undefined
      ? SHIPPED.map((name) => join(ROOT, 'test/fixtures/media', name))
      : [userClip]
  for (const [i, source] of sources.entries()) {
    const fit = "scale=w='min(384,iw)':h=-2:flags=lanczos,crop=floor(iw/8)*8:floor(ih/8)*8"
    const output = join(dir, `clip-${i}.mp4`)
    const made = run('ffmpeg', [
      '-v',
      'error',
      '-nostdin',
      '-y',
      '-t',
      '20',
      '-i',
      source,
      '-an',
      '-vf',
      fit,
      '-c:v',
      'libx264',
      '-crf',
      '8',
      '-pix_fmt',
      'yuv420p',
      output,
    ])
    await made.catch(({ stderr, message }) => {
      throw new Error(`${source} cannot be used: ${stderr?.trim().split('\n').at(-1) || message}`)
    })
  }
}

/** An ffmpeg that takes its time: the machine of the slow miner. */
export async function slowFfmpeg(dir, seconds) {
  const path = join(dir, 'slow-ffmpeg')
  await writeFile(path, `#!/bin/sh\nsleep ${seconds}\nexec ffmpeg "$@"\n`, { mode: 0o755 })
  return path
}
