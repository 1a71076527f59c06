import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../lib/clock.js'
import type { Rng } from '../../lib/rng.js'
import { ChunkWriter, WANDB_HEAD } from './log-file.js'
import { exit, header, history, run, summary, type Values } from './records.js'

export interface WandbOptions {
  /** Below it lies a folder for each run, where `wandb sync` looks for it. */
  readonly dir: string
  readonly project: string
  readonly name: string
  readonly config: Values
}

const ID_ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

/**
 * A Weights & Biases run that is written to a file and sent by nobody: `wandb sync FOLDER` uploads it
 * whenever the operator likes.
 */
export class WandbRun {
  /** The folder of this run. */
  readonly folder: string
  readonly #file: FileHandle
  readonly #clock: Clock
  readonly #startedAt: number
  readonly #chunks = new ChunkWriter()
  #records = 0
  #step = 0

  private constructor(folder: string, file: FileHandle, clock: Clock) {
    this.folder = folder
    this.#file = file
    this.#clock = clock
    this.#startedAt = clock.now()
  }

  static async open(options: WandbOptions, clock: Clock, rng: Rng): Promise<WandbRun> {
    const { dir, project, name, config } = options
    const startedAt = clock.now()
    const runId = Array.from({ length: 8 }, () => ID_ALPHABET[rng.int(ID_ALPHABET.length)]).join('')
    const stamp = new Date(startedAt).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
    const folder = join(dir, 'wandb', `offline-run-${stamp.replace('T', '_')}-${runId}`)
    await mkdir(join(folder, 'files'), { recursive: true })
    const file = await open(join(folder, `run-${runId}.wandb`), 'wx')
    await file.appendFile(WANDB_HEAD)
    const made = new WandbRun(folder, file, clock)
    await made.#add(header)
    await made.#add((num) =>
      run(num, { runId, project, name, config, host: hostname(), startedAt }),
    )
    return made
  }

  /** Adds one point to every chart named. */
  async log(values: Values): Promise<void> {
    const now = this.#clock.now()
    const step = this.#step
    this.#step += 1
    const all = {
      ...values,
      _timestamp: now / 1000,
      _runtime: (now - this.#startedAt) / 1000,
      _step: step,
    }
    await this.#add((num) => history(num, step, all))
    await this.#add((num) => summary(num, all))
  }

  /** Marks the run as ended well and closes its file. */
  async close(): Promise<void> {
    const seconds = Math.round((this.#clock.now() - this.#startedAt) / 1000)
    await this.#add((num) => exit(num, seconds))
    await this.#file.close()
  }

  async #add(make: (num: number) => Buffer): Promise<void> {
    this.#records += 1
    await this.#file.appendFile(this.#chunks.encode(make(this.#records)))
  }
}
