import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import type { Readable } from 'node:stream'
import type { Rng } from '../../lib/rng.js'
import { StorageError } from '../errors.js'
import { checkKey } from '../keys.js'

export interface FileFacts {
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** Objects as files below a folder. A file appears under its key whole or not at all. */
export class ObjectFiles {
  readonly #objects: string
  readonly #incoming: string
  readonly #rng: Rng

  constructor(root: string, rng: Rng) {
    this.#objects = join(root, 'objects')
    this.#incoming = join(root, 'incoming')
    this.#rng = rng
  }

  /** Makes the folders and removes what an earlier process left half-written. */
  async open(): Promise<void> {
    await mkdir(this.#objects, { recursive: true, mode: 0o700 })
    await mkdir(this.#incoming, { recursive: true, mode: 0o700 })
  }

  /** Removes half-written files older than `olderThanMs`. */
  async sweepIncoming(nowMs: number, olderThanMs: number): Promise<void> {
    for (const name of await readdir(this.#incoming)) {
      const path = join(this.#incoming, name)
      const facts = await stat(path).catch(() => undefined)
      if (facts !== undefined && nowMs - facts.mtimeMs > olderThanMs)
        await rm(path, { force: true })
    }
  }

  /** A path to write an object's bytes to before `commit`. */
  incomingPath(): string {
    return join(this.#incoming, Buffer.from(this.#rng.bytes(16)).toString('hex'))
  }

  async put(key: string, source: string): Promise<void> {
    const path = this.incomingPath()
    try {
      await copyFile(source, path)
      await this.commit(key, path)
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  }

  /** Moves a written file under its key. */
  async commit(key: string, incoming: string): Promise<void> {
    const path = this.#pathOf(key)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(incoming, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(incoming, path)
  }

  async facts(key: string): Promise<FileFacts> {
    try {
      const { size, mtimeMs } = await stat(this.#pathOf(key))
      return { sizeBytes: size, modifiedMs: mtimeMs }
    } catch (error) {
      throw missing(key, error)
    }
  }

  read(key: string, range?: { readonly start: number; readonly end: number }): Readable {
    return createReadStream(this.#pathOf(key), range)
  }

  async delete(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true })
  }

  async *list(prefix: string): AsyncIterable<{ key: string } & FileFacts> {
    const entries = await readdir(this.#objects, { recursive: true, withFileTypes: true })
    const keys = entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        relative(this.#objects, join(entry.parentPath, entry.name)).replaceAll(sep, '/'),
      )
      .filter((key) => key.startsWith(prefix))
      .sort((a, b) => (a < b ? -1 : 1))
    for (const key of keys) {
      const facts = await stat(this.#pathOf(key)).catch(() => undefined)
      if (facts !== undefined) yield { key, sizeBytes: facts.size, modifiedMs: facts.mtimeMs }
    }
  }

  #pathOf(key: string): string {
    return join(this.#objects, ...checkKey(key).split('/'))
  }
}

function missing(key: string, cause: unknown): unknown {
  const gone = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
  if (!gone) return cause
  return new StorageError({ code: 'STORAGE_NOT_FOUND', key }, 'no object has this key', { cause })
}
