import { type FileHandle, mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Hotkey, Netuid } from '../protocol/units.js'
import { ChainError } from './errors.js'
import { type LedgerQuery, selectEntries, type WeightEntry, type WeightLedger } from './ledger.js'

/** Entries kept per file; commits that wait for their reveal are kept beyond it. */
const MAX_ENTRIES = 1_000

const u16s = z.array(z.number().int().min(0).max(65_535))
const entry = z.object({
  id: z.string(),
  hotkey: z.string().transform((value) => value as Hotkey),
  netuid: z
    .number()
    .int()
    .transform((value) => value as Netuid),
  mechanism: z.number().int(),
  epoch: z.number().int(),
  method: z.enum(['set', 'commit-reveal', 'timelocked']),
  block: z.number().int(),
  uids: u16s,
  values: u16s,
  versionKey: z.string().regex(/^\d+$/),
  vectorHash: z.string(),
  state: z.enum(['pending', 'included', 'verified', 'revealed', 'refused', 'expired']),
  salt: u16s.exactOptional(),
  commitHash: z.string().exactOptional(),
  revealRound: z.number().int().exactOptional(),
  extrinsicHash: z.string().exactOptional(),
  includedAt: z.number().int().exactOptional(),
  error: z.string().exactOptional(),
})
const file = z.object({ version: z.literal(1), entries: z.array(entry) })

/** Where a process keeps the ledger of a hotkey, under its data folder. */
export function weightLedgerPath(dataDir: string, hotkey: Hotkey): string {
  return join(dataDir, 'weights', `${hotkey}.json`)
}

/**
 * The ledger as one JSON file, replaced atomically and synced at each change. A lock file beside it
 * keeps a second process with the same ledger, that is the same hotkey, from setting weights.
 */
export class FileWeightLedger implements WeightLedger {
  readonly #path: string
  readonly #entries: Map<string, WeightEntry>
  #writing: Promise<void> = Promise.resolve()

  private constructor(path: string, entries: readonly WeightEntry[]) {
    this.#path = path
    this.#entries = new Map(entries.map((item) => [item.id, item]))
  }

  /** @throws ChainError CHAIN_LEDGER_LOCKED, CHAIN_LEDGER_CORRUPT */
  static async open(path: string): Promise<FileWeightLedger> {
    await mkdir(dirname(path), { recursive: true })
    await lock(`${path}.lock`)
    try {
      return new FileWeightLedger(path, await readLedgerFile(path))
    } catch (error) {
      await unlock(`${path}.lock`)
      throw error
    }
  }

  put(item: WeightEntry): Promise<void> {
    this.#entries.delete(item.id)
    this.#entries.set(item.id, item)
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write())
    return this.#writing
  }

  async list(query: LedgerQuery, limit: number): Promise<readonly WeightEntry[]> {
    return selectEntries([...this.#entries.values()], query, limit)
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined)
    await unlock(`${this.#path}.lock`)
  }

  async #write(): Promise<void> {
    this.#prune()
    const text = JSON.stringify({ version: 1, entries: [...this.#entries.values()] })
    const next = `${this.#path}.new`
    await withFile(next, 'w', 0o600, async (handle) => {
      await handle.writeFile(text)
      await handle.sync()
    })
    await rename(next, this.#path)
    await withFile(dirname(this.#path), 'r', undefined, (handle) => handle.sync())
  }

  #prune(): void {
    for (const item of this.#entries.values()) {
      if (this.#entries.size <= MAX_ENTRIES) return
      const unrevealed = item.salt !== undefined && item.state !== 'revealed'
      if (!unrevealed || item.state === 'expired') this.#entries.delete(item.id)
    }
  }
}

/** Reads a ledger without holding it, for tools. A missing file is empty. @throws ChainError CHAIN_LEDGER_CORRUPT */
export async function readLedgerFile(path: string): Promise<readonly WeightEntry[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
  try {
    return file.parse(JSON.parse(text)).entries
  } catch (cause) {
    throw new ChainError(
      { code: 'CHAIN_LEDGER_CORRUPT', path },
      `the weight ledger ${path} does not parse; move it away to start a new one`,
      { cause },
    )
  }
}

/** Locks that this process has. */
const HELD = new Set<string>()

async function unlock(path: string): Promise<void> {
  HELD.delete(path)
  await unlink(path).catch(() => undefined)
}

/** Takes the lock, also from a process that no longer lives. */
async function lock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      await withFile(path, 'wx', 0o600, (handle) => handle.writeFile(String(process.pid)))
      HELD.add(path)
      return
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
    }
    const pid = Number(await readFile(path, 'utf8').catch(() => ''))
    // In a container every run has the same pid: a lock with our own that we did not take is an old one.
    const holds = pid === process.pid ? HELD.has(path) : pid > 0 && isAlive(pid)
    if (Number.isInteger(pid) && holds) throw locked(path, pid)
    await unlink(path).catch(() => undefined)
  }
  throw locked(path, 0)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

async function withFile(
  path: string,
  flags: string,
  mode: number | undefined,
  use: (handle: FileHandle) => Promise<unknown>,
): Promise<void> {
  const handle = await open(path, flags, mode)
  try {
    await use(handle)
  } finally {
    await handle.close()
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function locked(path: string, pid: number): ChainError {
  return new ChainError(
    { code: 'CHAIN_LEDGER_LOCKED', path, pid },
    `process ${pid} sets weights with this hotkey already (${path}); stop it first`,
  )
}
