import { mkdir, readdir, rm, stat, statfs, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from './clock.js'
import { LibError } from './errors.js'
import type { Logger } from './log.js'
import type { Rng } from './rng.js'

export interface WorkspaceOptions {
  /** Folder below which each process has its own. */
  readonly root: string
  /** Folders of dead or forgotten work are removed at this age, in milliseconds. Default 4200 s. */
  readonly maxAgeMs?: number
  /** Beyond this, idle folders go oldest first, in bytes. Default 9 GB. */
  readonly softCapBytes?: number
  /** Nothing younger is removed, in milliseconds. Default 60 s. */
  readonly minAgeMs?: number
  /** Below this no work starts, in bytes. Default 1 GB. */
  readonly minFreeBytes?: number
}

export interface WorkspaceModules {
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
}

interface Folder {
  readonly path: string
  readonly ageMs: number
  readonly sizeBytes: number
}

const OWN = /^p(\d+)-/

/**
 * Folders for working files. Each job has one, gone when the job is, whatever its end. What a killed
 * process left is removed by whichever process starts next, or by the sweep.
 */
export class Workspace {
  readonly #options: Required<WorkspaceOptions>
  readonly #modules: WorkspaceModules
  readonly #home: string
  readonly #active = new Set<string>()

  constructor(options: WorkspaceOptions, modules: WorkspaceModules) {
    this.#options = {
      maxAgeMs: 4_200_000,
      softCapBytes: 9_000_000_000,
      minAgeMs: 60_000,
      minFreeBytes: 1_000_000_000,
      ...options,
    }
    this.#modules = modules
    const suffix = Buffer.from(modules.rng.bytes(6)).toString('hex')
    this.#home = join(options.root, `p${process.pid}-${suffix}`)
  }

  /** Makes this process's folder and removes those of processes that are gone. */
  async open(): Promise<void> {
    await mkdir(this.#home, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.#options.root)) {
      const pid = Number(OWN.exec(name)?.[1] ?? Number.NaN)
      if (!Number.isInteger(pid) || pid === process.pid || isAlive(pid)) continue
      await rm(join(this.#options.root, name), { recursive: true, force: true })
      this.#modules.log.info({ event: 'workspace.swept', pid }, 'removed files of a dead process')
    }
  }

  /** Runs `work` in a new empty folder, which is removed afterwards. @throws LibError LIB_DISK_FULL */
  async within<T>(work: (dir: string) => Promise<T>): Promise<T> {
    await this.requireSpace()
    const path = join(this.#home, Buffer.from(this.#modules.rng.bytes(8)).toString('hex'))
    await mkdir(path, { mode: 0o700 })
    this.#active.add(path)
    try {
      return await work(path)
    } catch (error) {
      throw isFull(error) ? await this.#full(error) : error
    } finally {
      await rm(path, { recursive: true, force: true, maxRetries: 3 })
      this.#active.delete(path)
    }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#home)
    return bavail * bsize
  }

  /** @throws LibError LIB_DISK_FULL, which may be retried elsewhere or later */
  async requireSpace(): Promise<void> {
    const freeBytes = await this.freeBytes()
    if (freeBytes < this.#options.minFreeBytes) throw this.#tooLittle(freeBytes)
  }

  /** Removes old idle folders, and more while the whole is above its cap. Returns the bytes that stay. */
  async sweep(): Promise<number> {
    const { maxAgeMs, minAgeMs, softCapBytes } = this.#options
    const folders = (await this.#folders()).sort((a, b) => b.ageMs - a.ageMs)
    let total = folders.reduce((sum, folder) => sum + folder.sizeBytes, 0)
    for (const { path, ageMs, sizeBytes } of folders) {
      const tooMuch = total > softCapBytes && ageMs > minAgeMs
      if (this.#active.has(path) || (ageMs <= maxAgeMs && !tooMuch)) continue
      await rm(path, { recursive: true, force: true })
      this.#modules.log.info(
        { event: 'workspace.swept', ageMs, sizeBytes },
        'removed old working files',
      )
      total -= sizeBytes
    }
    return total
  }

  async close(): Promise<void> {
    await rm(this.#home, { recursive: true, force: true })
  }

  /** Folders of work in this process and in dead ones; living ones look after their own. */
  async #folders(): Promise<Folder[]> {
    const found: Folder[] = []
    const nowMs = this.#modules.clock.now()
    for (const home of await readdir(this.#options.root)) {
      const pid = Number(OWN.exec(home)?.[1] ?? Number.NaN)
      if (Number.isInteger(pid) && pid !== process.pid && isAlive(pid)) continue
      for (const name of await readdir(join(this.#options.root, home)).catch(() => [])) {
        const path = join(this.#options.root, home, name)
        const facts = await stat(path).catch(() => undefined)
        if (facts === undefined) continue
        found.push({ path, ageMs: nowMs - facts.mtimeMs, sizeBytes: await sizeOf(path) })
      }
    }
    return found
  }

  /** Marks a folder as in use although its own files do not change, so that no age is read from it. */
  async touch(path: string): Promise<void> {
    const seconds = this.#modules.clock.now() / 1_000
    await utimes(path, seconds, seconds)
  }

  async #full(cause: unknown): Promise<LibError> {
    return this.#tooLittle(await this.freeBytes().catch(() => 0), cause)
  }

  #tooLittle(freeBytes: number, cause?: unknown): LibError {
    const neededBytes = this.#options.minFreeBytes
    return new LibError(
      { code: 'LIB_DISK_FULL', freeBytes, neededBytes },
      `ENOSPC: ${Math.round(freeBytes / 1e6)} MB free where working files lie, ${Math.round(neededBytes / 1e6)} MB needed`,
      { cause, retryable: true },
    )
  }
}

async function sizeOf(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true }).catch(() => [])
  const sizes = await Promise.all(
    entries.map((name) =>
      stat(join(path, name)).then(
        (facts) => (facts.isFile() ? facts.size : 0),
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** ENOSPC of ours, or what a tool said when its output file could not grow. */
function isFull(error: unknown): boolean {
  for (
    let e: unknown = error, depth = 0;
    e instanceof Error && depth < 8;
    e = e.cause, depth += 1
  ) {
    if ('code' in e && (e.code === 'ENOSPC' || e.code === 'EDQUOT')) return true
    if ('data' in e && /No space left on device/.test(JSON.stringify(e.data))) return true
  }
  return false
}
