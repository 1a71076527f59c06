import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname, join, relative } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StorageError } from '#src/storage/errors.js'
import { hashFile } from '#src/storage/file-hash.js'
import { checkExpiry, checkKey } from '#src/storage/keys.js'
import type { ObjectStore, StoredObject } from '#src/storage/types.js'

interface Grant {
  readonly method: string
  readonly key: string
  readonly untilMs: number
}

/** Objects as files of a folder; its URLs hold a random ticket that this process remembers. */
export class DirStorage implements ObjectStore {
  readonly kind = 'dir'
  readonly #dir: string
  readonly #grants = new Map<string, Grant>()
  readonly #server: Server
  #origin = ''

  private constructor(dir: string) {
    this.#dir = dir
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async open(dir: string): Promise<DirStorage> {
    const storage = new DirStorage(dir)
    await mkdir(dir, { recursive: true })
    await new Promise<void>((resolve) => storage.#server.listen(0, '127.0.0.1', resolve))
    const address = storage.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    storage.#origin = `http://127.0.0.1:${address.port}`
    return storage
  }

  async putFile(
    key: string,
    path: string,
    options: { signal?: AbortSignal } = {},
  ): Promise<StoredObject> {
    const target = this.#path(key)
    const facts = await hashFile(path, options.signal)
    options.signal?.throwIfAborted()
    await mkdir(dirname(target), { recursive: true })
    const part = `${target}.${randomBytes(4).toString('hex')}~`
    await copyFile(path, part)
    await rename(part, target)
    return { key, ...facts }
  }

  async get(key: string): Promise<Readable> {
    await this.#facts(key)
    return createReadStream(this.#path(key))
  }

  async delete(key: string): Promise<void> {
    await rm(this.#path(key), { force: true })
  }

  async *list(
    prefix: string,
  ): AsyncIterable<{ key: string; sizeBytes: number; modifiedMs: number }> {
    const entries = await readdir(this.#dir, { recursive: true, withFileTypes: true })
    const keys = entries
      .filter((entry) => entry.isFile() && !entry.name.endsWith('~'))
      .map((entry) => relative(this.#dir, join(entry.parentPath, entry.name)))
      .filter((key) => key.startsWith(prefix))
      .sort()
    for (const key of keys) yield { key, ...(await this.#facts(key)) }
  }

  async presignGet(key: string, expiresInSeconds: number): Promise<string> {
    return this.#grant('GET', key, expiresInSeconds)
  }

  async presignPut(key: string, expiresInSeconds: number): Promise<string> {
    return this.#grant('PUT', key, expiresInSeconds)
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #grant(method: string, key: string, expiresInSeconds: number): string {
    const untilMs = Date.now() + checkExpiry(expiresInSeconds) * 1_000
    const ticket = randomBytes(16).toString('hex')
    this.#grants.set(ticket, { method, key: checkKey(key), untilMs })
    return `${this.#origin}/${key}?ticket=${ticket}`
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.#origin)
    const grant = this.#grants.get(url.searchParams.get('ticket') ?? '')
    const allowed =
      grant !== undefined &&
      grant.method === request.method &&
      `/${grant.key}` === url.pathname &&
      Date.now() < grant.untilMs
    if (!allowed) {
      response.writeHead(403).end()
      return
    }
    const path = this.#path(grant.key)
    if (grant.method === 'PUT') {
      await mkdir(dirname(path), { recursive: true })
      await pipeline(request, createWriteStream(path))
      response.writeHead(200).end()
      return
    }
    const size = await stat(path).then(
      (facts) => facts.size,
      () => undefined,
    )
    if (size === undefined) {
      response.writeHead(404).end()
      return
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (range === null) {
      response.writeHead(200, { 'content-length': size })
      await pipeline(createReadStream(path), response)
      return
    }
    const start = Number(range[1])
    const end = Math.min(Number(range[2]), size - 1)
    response.writeHead(206, { 'content-range': `bytes ${start}-${end}/${size}` })
    await pipeline(createReadStream(path, { start, end }), response)
  }

  async #facts(key: string): Promise<{ sizeBytes: number; modifiedMs: number }> {
    const path = this.#path(key)
    try {
      const { size, mtimeMs } = await stat(path)
      return { sizeBytes: size, modifiedMs: mtimeMs }
    } catch (cause) {
      throw new StorageError({ code: 'STORAGE_NOT_FOUND', key }, 'no object has this key', {
        cause,
      })
    }
  }

  #path(key: string): string {
    return join(this.#dir, checkKey(key))
  }
}
