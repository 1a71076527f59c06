import { readFile, rename, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Clock } from '../lib/clock.js'
import type { Block } from './block.js'
import { DevnetError } from './errors.js'
import { fromHex, toHex } from './scale/bytes.js'

/** What is kept of a chain: its recent blocks, and the state of the newest. */
export interface Snapshot {
  readonly blocks: readonly Block[]
  readonly finalized: number
  readonly state: ReadonlyMap<string, Uint8Array>
}

const hex = z.string().regex(/^0x([0-9a-f]{2})*$/)
const schema = z.object({
  format: z.literal(1),
  finalized: z.number().int().min(0),
  blocks: z
    .array(
      z.object({
        number: z.number().int().min(0),
        hash: hex,
        header: z.object({
          parentHash: hex,
          number: z.string(),
          stateRoot: hex,
          extrinsicsRoot: hex,
          digest: z.object({ logs: z.array(z.string()) }),
        }),
        extrinsics: z.array(hex),
      }),
    )
    .min(1),
  state: z.record(z.string().regex(/^([0-9a-f]{2})*$/), hex),
})

/**
 * Writes beside the file and renames: a crash leaves the old one or the new one.
 * @throws DevnetError DEVNET_STATE_UNWRITABLE
 */
async function saveSnapshot(path: string, snapshot: Snapshot): Promise<void> {
  const text = JSON.stringify({
    format: 1,
    finalized: snapshot.finalized,
    blocks: snapshot.blocks.map((block) => ({ ...block, extrinsics: block.extrinsics.map(toHex) })),
    state: Object.fromEntries([...snapshot.state].map(([key, value]) => [key, toHex(value)])),
  })
  const beside = `${path}.new`
  try {
    await writeFile(beside, text)
    await rename(beside, path)
  } catch (cause) {
    throw new DevnetError(
      { code: 'DEVNET_STATE_UNWRITABLE', path },
      `the chain cannot be kept in ${path}: ${(cause as Error).message}`,
      { cause },
    )
  }
}

/**
 * The chain kept in a file; `undefined` when there is none yet.
 * @throws DevnetError DEVNET_STATE_INVALID
 */
export async function loadSnapshot(path: string): Promise<Snapshot | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw invalid(path, error)
  }
  try {
    const parsed = schema.parse(JSON.parse(text))
    return {
      finalized: parsed.finalized,
      blocks: parsed.blocks.map((block) => ({
        ...block,
        extrinsics: block.extrinsics.map(fromHex),
      })),
      state: new Map(Object.entries(parsed.state).map(([key, value]) => [key, fromHex(value)])),
    }
  } catch (error) {
    throw invalid(path, error)
  }
}

const invalid = (path: string, cause: unknown): DevnetError =>
  new DevnetError(
    { code: 'DEVNET_STATE_INVALID', path },
    `the chain kept in ${path} cannot be read back: delete the file to start from genesis`,
    { cause },
  )

/** At most one write in so many milliseconds: blocks may come faster than files should. */
const SAVE_EVERY_MS = 2000

/** Saves a chain to its file after blocks, one write at a time, and once more when closed. */
export class Saver {
  readonly #path: string
  readonly #clock: Clock
  readonly #take: () => Snapshot
  readonly #onError: (error: unknown) => void
  #last = Number.NEGATIVE_INFINITY
  #writing: Promise<void> = Promise.resolve()

  constructor(path: string, clock: Clock, take: () => Snapshot, onError: (error: unknown) => void) {
    this.#path = path
    this.#clock = clock
    this.#take = take
    this.#onError = onError
  }

  /** To be called after each block. */
  touch(): void {
    const now = this.#clock.monotonic()
    if (now - this.#last < SAVE_EVERY_MS) return
    this.#last = now
    this.#writing = this.#writing.then(() => this.save()).catch(this.#onError)
  }

  /** Writes now. @throws DevnetError DEVNET_STATE_UNWRITABLE */
  save(): Promise<void> {
    return saveSnapshot(this.#path, this.#take())
  }

  async close(): Promise<void> {
    await this.#writing
    await this.save()
  }
}
