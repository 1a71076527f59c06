import { createHash } from 'node:crypto'
import type { Rng } from '../lib/rng.js'
import { StorageError } from './errors.js'

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/
const MAX_KEY_LENGTH = 512

/** @throws StorageError STORAGE_BAD_KEY unless the key is plain segments joined by `/` */
export function checkKey(key: string): string {
  const segments = key.split('/')
  if (key.length > MAX_KEY_LENGTH || !segments.every((segment) => SEGMENT.test(segment))) {
    throw new StorageError(
      { code: 'STORAGE_BAD_KEY', key: key.slice(0, 80) },
      'an object key is segments of letters, digits, . _ - joined by /',
    )
  }
  return key
}

/** Prefix of everything stored for one caller: 16 hex of its hotkey's sha256. */
export function callerPrefix(hotkey: string): string {
  return createHash('sha256').update(hotkey).digest('hex').slice(0, 16)
}

/**
 * A new key under `folder` for a result of `hotkey`: nobody can guess it, and no two runs of one job
 * share it, so a late run never overwrites what was announced.
 */
export function resultKey(input: {
  readonly folder: string
  readonly hotkey: string
  readonly extension: string
  readonly rng: Rng
}): string {
  const random = Buffer.from(input.rng.bytes(24)).toString('base64url')
  // base64url may start with "-": the letter keeps names friendly to shells.
  return checkKey(`${input.folder}/${callerPrefix(input.hotkey)}/r${random}.${input.extension}`)
}

export const MIN_EXPIRY_S = 1
export const MAX_EXPIRY_S = 604_800
export const DEFAULT_EXPIRY_S = 600

/** @throws StorageError STORAGE_BAD_EXPIRY unless an integer in 1..604800 */
export function checkExpiry(expiresInSeconds: number): number {
  const known = Number.isInteger(expiresInSeconds)
  if (!known || expiresInSeconds < MIN_EXPIRY_S || expiresInSeconds > MAX_EXPIRY_S) {
    throw new StorageError(
      { code: 'STORAGE_BAD_EXPIRY', expiresInSeconds },
      `a signed URL lives ${MIN_EXPIRY_S} to ${MAX_EXPIRY_S} whole seconds`,
    )
  }
  return expiresInSeconds
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  mp4: 'video/mp4',
  mkv: 'video/x-matroska',
  webm: 'video/webm',
  json: 'application/json',
  zip: 'application/zip',
  png: 'image/png',
  wav: 'audio/wav',
}

/** By the key's extension; never a type that a browser would run. */
export function contentTypeOf(key: string): string {
  return CONTENT_TYPES[key.slice(key.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
}
