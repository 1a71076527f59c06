import { createHash } from 'node:crypto'
import { type Hotkey, toHotkey } from '../protocol/units.js'
import { WalletError } from './errors.js'

/** The prefix of Bittensor and of generic Substrate addresses. */
export const SS58_PREFIX = 42

const ALPHABET = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const DIGITS = new Map([...ALPHABET].map((char, value) => [char, value]))
const CONTEXT = Buffer.from('SS58PRE')
const KEY_BYTES = 32
/** 32-byte keys under a two-byte prefix give at most 50 characters. */
const MAX_CHARS = 50

function base58Encode(bytes: Uint8Array): string {
  const digits: number[] = []
  for (const byte of bytes) {
    let carry = byte
    for (let i = 0; i < digits.length; i += 1) {
      carry += (digits[i] ?? 0) << 8
      digits[i] = carry % 58
      carry = Math.floor(carry / 58)
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58)
  }
  let text = ''
  for (const byte of bytes) {
    if (byte !== 0) break
    text += '1'
  }
  for (let i = digits.length - 1; i >= 0; i -= 1) text += ALPHABET[digits[i] ?? 0]
  return text
}

function base58Decode(text: string): Uint8Array | undefined {
  const bytes: number[] = []
  for (const char of text) {
    const digit = DIGITS.get(char)
    if (digit === undefined) return undefined
    let carry = digit
    for (let i = 0; i < bytes.length; i += 1) {
      carry += (bytes[i] ?? 0) * 58
      bytes[i] = carry & 0xff
      carry >>= 8
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 0xff)
  }
  for (const char of text) {
    if (char !== '1') break
    bytes.push(0)
  }
  return Uint8Array.from(bytes.reverse())
}

function checksum(body: Uint8Array): Uint8Array {
  return createHash('blake2b512').update(CONTEXT).update(body).digest().subarray(0, 2)
}

/**
 * The ss58 text of a 32-byte public key.
 *
 * @param prefix network prefix, 0–16383; Bittensor's is 42
 * @throws WalletError WALLET_KEY_INVALID
 */
export function encodeAddress(publicKey: Uint8Array, prefix = SS58_PREFIX): Hotkey {
  if (publicKey.length !== KEY_BYTES) {
    throw new WalletError(
      { code: 'WALLET_KEY_INVALID', why: `public key of ${publicKey.length} bytes` },
      `a public key has 32 bytes, this one ${publicKey.length}`,
    )
  }
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 16_383) {
    throw new RangeError(`ss58 prefix must be an integer in 0..16383, got ${prefix}`)
  }
  const head =
    prefix < 64 ? [prefix] : [((prefix & 0xfc) >> 2) | 0x40, (prefix >> 8) | ((prefix & 0x03) << 6)]
  const body = Uint8Array.from([...head, ...publicKey])
  return toHotkey(base58Encode(Uint8Array.from([...body, ...checksum(body)])))
}

/** Public key and prefix of an ss58 address, or why it is none. Never throws: callers are peers. */
export function parseAddress(
  text: string,
): { readonly publicKey: Uint8Array; readonly prefix: number } | { readonly why: string } {
  if (text.length > MAX_CHARS) return { why: 'longer than 50 characters' }
  const raw = base58Decode(text)
  if (raw === undefined) return { why: 'holds a character outside base58' }
  const first = raw[0] ?? 0x80
  const headBytes = first < 0x40 ? 1 : first < 0x80 ? 2 : 0
  if (headBytes === 0 || raw.length !== headBytes + KEY_BYTES + 2) {
    return { why: 'not a prefix, a 32-byte key and a checksum' }
  }
  const body = raw.subarray(0, raw.length - 2)
  const sum = checksum(body)
  if (sum[0] !== raw[raw.length - 2] || sum[1] !== raw[raw.length - 1]) {
    return { why: 'wrong checksum' }
  }
  const second = raw[1] ?? 0
  const prefix =
    headBytes === 1 ? first : ((first & 0x3f) << 2) | (second >> 6) | ((second & 0x3f) << 8)
  return { publicKey: raw.slice(headBytes, headBytes + KEY_BYTES), prefix }
}

/**
 * The 32-byte public key of an ss58 address of any prefix.
 *
 * @throws WalletError WALLET_ADDRESS_INVALID
 */
export function decodeAddress(text: string): Uint8Array {
  const parsed = parseAddress(text)
  if ('why' in parsed) {
    throw new WalletError(
      { code: 'WALLET_ADDRESS_INVALID', why: parsed.why },
      `not an ss58 address (${parsed.why}): check it for missing or mistyped characters`,
    )
  }
  return parsed.publicKey
}

/** Whether two addresses, perhaps of different prefixes, name one key. */
export function sameKey(a: string, b: string): boolean {
  if (a === b) return true
  const left = parseAddress(a)
  const right = parseAddress(b)
  if ('why' in left || 'why' in right) return false
  return Buffer.compare(left.publicKey, right.publicKey) === 0
}
