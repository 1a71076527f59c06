import { createHmac, timingSafeEqual } from 'node:crypto'
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Rng } from '../../lib/rng.js'
import { Secret } from '../../lib/secret.js'
import { StorageError } from '../errors.js'

export type SignedMethod = 'GET' | 'PUT'

/**
 * Signs what one URL allows: a method, a key and an end. A GET signature also allows HEAD.
 * HMAC-SHA256 over the three, LF between, under a key that never leaves this machine.
 */
export class UrlSigner {
  readonly #key: Secret<Uint8Array>

  constructor(key: Secret<Uint8Array>) {
    this.#key = key
  }

  /** Query string without `?`; `expiresAtS` is Unix seconds. */
  sign(method: SignedMethod, key: string, expiresAtS: number): string {
    return `expires=${expiresAtS}&signature=${this.#mac(method, key, String(expiresAtS)).toString('base64url')}`
  }

  /** True when the query was signed here for this method and key and is not over at `nowMs`. */
  verify(method: SignedMethod, key: string, query: URLSearchParams, nowMs: number): boolean {
    const expires = query.get('expires') ?? ''
    const given = Buffer.from(query.get('signature') ?? '', 'base64url')
    const expected = this.#mac(method, key, expires)
    const genuine = given.length === expected.length && timingSafeEqual(given, expected)
    return genuine && /^\d{1,12}$/.test(expires) && nowMs < Number(expires) * 1_000
  }

  #mac(method: string, key: string, expires: string): Buffer {
    return createHmac('sha256', this.#key.reveal())
      .update(`subreel/1\n${method}\n${key}\n${expires}`)
      .digest()
  }
}

/**
 * The signing key in `path`, made on first use (32 random bytes, readable by its owner only), so that
 * URLs outlive a restart.
 * @throws StorageError STORAGE_KEY_EXPOSED when others may read it
 */
export async function loadSigningKey(path: string, rng: Rng): Promise<Secret<Uint8Array>> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  if (!(await isThere(path))) await makeSigningKey(path, rng)
  const { mode } = await stat(path)
  if ((mode & 0o077) !== 0) {
    throw new StorageError(
      { code: 'STORAGE_KEY_EXPOSED' },
      `${path} must be readable by its owner only`,
    )
  }
  return new Secret(await readFile(path))
}

/** Linking a written file is atomic: of processes that start together one makes the key, all read it whole. */
async function makeSigningKey(path: string, rng: Rng): Promise<void> {
  const draft = `${path}.${Buffer.from(rng.bytes(8)).toString('hex')}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.write(rng.bytes(32))
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path)
  } catch (error) {
    if (!(await isThere(path))) throw error
  } finally {
    await rm(draft, { force: true })
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
