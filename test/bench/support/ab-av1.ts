import { execFile } from 'node:child_process'
import { mkdir, rm, symlink } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Codec } from '#src/engines/index.js'

const run = promisify(execFile)

const PRESETS: Readonly<Partial<Record<Codec, readonly string[]>>> = {
  h264: ['--encoder', 'libx264', '--preset', 'medium'],
  hevc: ['--encoder', 'libx265', '--preset', 'medium'],
  av1: ['--encoder', 'libsvtav1', '--preset', '8'],
}

export interface PeerResult {
  readonly path: string
  /** CRFs tried; the encode that follows is one more. */
  readonly probes: number
}

/** ab-av1 (`cargo install ab-av1 --version 0.11.7`) over a chosen ffmpeg, at native size. */
export class AbAv1 {
  readonly #path: string
  readonly #folder: string

  private constructor(path: string, folder: string) {
    this.#path = path
    this.#folder = folder
  }

  static async open(path: string, ffmpeg: string, folder: string): Promise<AbAv1> {
    await mkdir(folder, { recursive: true })
    // It takes whatever is called ffmpeg on its path.
    await symlink(resolve(ffmpeg), join(folder, 'ffmpeg'))
    return new AbAv1(path, folder)
  }

  /** Undefined when it finds no CRF that will do. */
  async encode(clip: string, threshold: number, codec: Codec): Promise<PeerResult | undefined> {
    const output = join(this.#folder, 'peer.mp4')
    await rm(output, { force: true })
    const args = ['auto-encode', '-i', clip, '-o', output, '--min-vmaf', `${threshold}`]
    const rest = ['--vmaf-scale', 'none', '--cache', 'false', '--temp-dir', this.#folder]
    const env = {
      ...process.env,
      PATH: `${this.#folder}${delimiter}${process.env['PATH']}`,
      RUST_LOG: 'ab_av1=info',
    }
    try {
      const log = await run(this.#path, [...args, ...rest, ...(PRESETS[codec] ?? [])], { env })
      const tried = [...log.stderr.matchAll(/crf (\d+(?:\.\d+)?) VMAF/g)].map((match) => match[1])
      return { path: output, probes: new Set(tried).size }
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? `${error.stderr}` : `${error}`
      process.stdout.write(`  ab-av1 found nothing: ${said.trim().split('\n').at(-1)}\n`)
      return undefined
    }
  }
}
