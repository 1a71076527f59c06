import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.js'
import type { Logger } from '../../lib/log.js'
import type { Rng } from '../../lib/rng.js'
import { hashFile } from '../file-hash.js'
import { checkExpiry, checkKey } from '../keys.js'
import type { ObjectStore, PutOptions, StoredObject } from '../types.js'
import { ObjectFiles } from './files.js'
import type { RateLimit } from './limiter.js'
import { OBJECT_PATH, ObjectServer } from './server.js'
import { loadSigningKey, UrlSigner } from './signer.js'

export interface BuiltinStoreOptions {
  /** Folder of objects and signing key; processes that share it share the store. */
  readonly dir: string
  /** Origin of the URLs that others can reach, e.g. `http://203.0.113.9:8092`; may be set after listening. */
  readonly publicOrigin?: string
  /** Largest object that a signed PUT may bring. Default 2 GiB. */
  readonly maxPutBytes?: number
  readonly rateLimit?: RateLimit
}

export interface BuiltinStoreModules {
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
}

const HALF_WRITTEN_MS = 3_600_000

/** The store that needs no bucket: files on this machine, served under signed URLs that expire. */
export class BuiltinStore implements ObjectStore {
  readonly kind = 'builtin'
  readonly server: ObjectServer
  readonly #files: ObjectFiles
  readonly #signer: UrlSigner
  readonly #clock: Clock
  #publicOrigin: string

  private constructor(
    options: BuiltinStoreOptions,
    modules: BuiltinStoreModules,
    files: ObjectFiles,
    signer: UrlSigner,
  ) {
    const { clock, log } = modules
    this.#files = files
    this.#signer = signer
    this.#clock = clock
    this.#publicOrigin = options.publicOrigin ?? 'http://127.0.0.1'
    const limits = {
      maxPutBytes: options.maxPutBytes ?? 2 ** 31,
      ...(options.rateLimit === undefined ? {} : { rateLimit: options.rateLimit }),
    }
    this.server = new ObjectServer(limits, { files, signer, clock, log })
  }

  /** @throws StorageError STORAGE_KEY_EXPOSED */
  static async open(
    options: BuiltinStoreOptions,
    modules: BuiltinStoreModules,
  ): Promise<BuiltinStore> {
    const files = new ObjectFiles(options.dir, modules.rng)
    await files.open()
    await files.sweepIncoming(modules.clock.now(), HALF_WRITTEN_MS)
    const key = await loadSigningKey(join(options.dir, 'url-signing.key'), modules.rng)
    return new BuiltinStore(options, modules, files, new UrlSigner(key))
  }

  /** Listens and, unless an origin was given, hands out URLs of that address. Returns the port. */
  async listen(host: string, port: number, publicOrigin?: string): Promise<number> {
    const bound = await this.server.listen(host, port)
    this.#publicOrigin = publicOrigin ?? `http://${host}:${bound}`
    return bound
  }

  /** Hands out URLs of this origin from now on, when another server answers for `server.handle`. */
  announce(publicOrigin: string): void {
    this.#publicOrigin = publicOrigin
  }

  async putFile(key: string, path: string, options: PutOptions = {}): Promise<StoredObject> {
    checkKey(key)
    const facts = await hashFile(path, options.signal)
    options.signal?.throwIfAborted()
    await this.#files.put(key, path)
    return { key, ...facts }
  }

  async get(key: string): Promise<Readable> {
    await this.#files.facts(key)
    return this.#files.read(key)
  }

  async delete(key: string): Promise<void> {
    await this.#files.delete(key)
  }

  list(prefix: string): AsyncIterable<{ key: string; sizeBytes: number; modifiedMs: number }> {
    return this.#files.list(prefix)
  }

  async presignGet(key: string, expiresInSeconds: number): Promise<string> {
    return this.#presign('GET', key, expiresInSeconds)
  }

  async presignPut(key: string, expiresInSeconds: number): Promise<string> {
    return this.#presign('PUT', key, expiresInSeconds)
  }

  async close(): Promise<void> {
    await this.server.close()
  }

  #presign(method: 'GET' | 'PUT', key: string, expiresInSeconds: number): string {
    checkKey(key)
    const expiresAtS = Math.ceil(this.#clock.now() / 1_000) + checkExpiry(expiresInSeconds)
    return `${this.#publicOrigin}${OBJECT_PATH}${key}?${this.#signer.sign(method, key, expiresAtS)}`
  }
}
