import { constants } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { WalletError } from './errors.js'

const MAX_BYTES = 64 * 1024
const OWNER_ONLY = 0o600
const FORBIDDEN = 0o077

export interface WalletLocation {
  /** Folder of wallets, e.g. `/home/me/.bittensor/wallets`. */
  readonly path: string
  /** The wallet's folder in it. */
  readonly name: string
}

function bare(name: string, what: string): string {
  if (!/^[^/\\\0]{1,255}$/.test(name) || name === '.' || name === '..') {
    throw new WalletError(
      { code: 'WALLET_NAME_INVALID', what },
      `the ${what} name must be a bare name without path separators`,
    )
  }
  return name
}

export function walletFolder(where: WalletLocation): string {
  return join(resolve(where.path), bare(where.name, 'wallet'))
}

export const coldkeyPath = (where: WalletLocation): string => join(walletFolder(where), 'coldkey')

export const coldkeypubPath = (where: WalletLocation): string =>
  join(walletFolder(where), 'coldkeypub.txt')

export const hotkeyPath = (where: WalletLocation & { readonly hotkey: string }): string =>
  join(walletFolder(where), 'hotkeys', bare(where.hotkey, 'hotkey'))

const errno = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined

/**
 * Reads a key file, at most 64 KiB. A `private` one must be a regular file that only its owner may
 * touch; what is checked is the open file, so it cannot be swapped in between.
 *
 * @throws WalletError WALLET_FILE_MISSING, WALLET_FILE_UNREADABLE, WALLET_FILE_EXPOSED, WALLET_FILE_SYMLINK
 */
export async function readKeyFile(path: string, kind: 'public' | 'private'): Promise<Uint8Array> {
  const noFollow = kind === 'private' ? constants.O_NOFOLLOW : 0
  const handle = await open(path, constants.O_RDONLY | noFollow).catch((cause: unknown) => {
    throw readError(path, cause)
  })
  try {
    const stat = await handle.stat()
    if (!stat.isFile() || stat.size > MAX_BYTES) {
      throw new WalletError(
        { code: 'WALLET_FILE_INVALID', path, why: 'no small regular file' },
        `${path} is not a key file: a regular file of at most ${MAX_BYTES} bytes is expected`,
      )
    }
    const exposed = stat.mode & FORBIDDEN
    if (kind === 'private' && exposed !== 0 && process.platform !== 'win32') {
      const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
      throw new WalletError(
        { code: 'WALLET_FILE_EXPOSED', path, mode },
        `${path} has mode ${mode}: others may use this key. Run: chmod 600 ${path}`,
      )
    }
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

function readError(path: string, cause: unknown): WalletError {
  const code = errno(cause)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new WalletError(
      { code: 'WALLET_FILE_MISSING', path },
      `${path} does not exist: check the wallet's path, name and hotkey`,
    )
  }
  if (code === 'ELOOP') {
    return new WalletError(
      { code: 'WALLET_FILE_SYMLINK', path },
      `${path} is a symbolic link: a private key must be a file of its own`,
    )
  }
  return new WalletError(
    { code: 'WALLET_FILE_UNREADABLE', path },
    `${path} cannot be read (${code ?? 'unknown reason'}): check its owner and the folders above it`,
    { cause },
  )
}

/** Writes a new file with mode 0600, its folders with 0700. @throws WalletError WALLET_FILE_EXISTS */
export async function writeKeyFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const handle = await open(path, 'wx', OWNER_ONLY).catch((cause: unknown) => {
    if (errno(cause) !== 'EEXIST') {
      throw new WalletError(
        { code: 'WALLET_FILE_UNREADABLE', path },
        `${path} cannot be written (${errno(cause) ?? 'unknown reason'})`,
        { cause },
      )
    }
    throw new WalletError(
      { code: 'WALLET_FILE_EXISTS', path },
      `${path} exists and is never overwritten: choose another name`,
    )
  })
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
