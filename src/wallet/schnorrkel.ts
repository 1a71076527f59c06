import { ristretto255 } from '@noble/curves/ed25519.js'
import {
  sr25519_derive_seed_hard,
  sr25519_keypair_from_seed,
  sr25519_pubkey,
  sr25519_sign,
  sr25519_verify,
} from '@polkadot-labs/schnorrkel-wasm'
import { LruMap } from '../lib/lru.js'

/**
 * sr25519 through the schnorrkel crate compiled to WebAssembly. The module panics (and prints a
 * stack to standard error, leaking its stack frame) on input that is malformed rather than wrong, so nothing
 * reaches it here that has not been checked: lengths, the schnorrkel mark, a canonical scalar and a
 * decodable point. docs/adr/0015 has the choice.
 */

const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
/** The order's top byte is 0x10: any scalar below it in its top byte is canonical without arithmetic. */
const ORDER_TOP_BYTE = 0x10
const KNOWN_POINTS = 4096

const pointIsValid = new LruMap<string, boolean>(KNOWN_POINTS)

function isPoint(publicKey: Uint8Array): boolean {
  const key = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString(
    'latin1',
  )
  const known = pointIsValid.get(key)
  if (known !== undefined) return known
  let valid = true
  try {
    ristretto255.Point.fromBytes(publicKey)
  } catch {
    valid = false
  }
  pointIsValid.set(key, valid)
  return valid
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

function isCanonicalSignature(signature: Uint8Array): boolean {
  const top = signature[63] ?? 0
  if ((top & 0x80) === 0) return false
  const scalarTop = top & 0x7f
  if (scalarTop < ORDER_TOP_BYTE) return true
  if (scalarTop > ORDER_TOP_BYTE) return false
  const scalar = Uint8Array.from(signature.subarray(32))
  scalar[31] = scalarTop
  return littleEndian(scalar) < GROUP_ORDER
}

/** True when `signature` (64 bytes) is over `message` by `publicKey` (32 bytes), context `substrate`. */
export function verifySr25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  if (!isCanonicalSignature(signature) || !isPoint(publicKey)) return false
  try {
    return sr25519_verify(publicKey, message, signature)
  } catch {
    return false
  }
}

/** 64 random-nonce signature bytes. `secret` is in the ed25519-expanded form. */
export function signSr25519(
  publicKey: Uint8Array,
  secret: Uint8Array,
  message: Uint8Array,
): Uint8Array {
  return sr25519_sign(publicKey, secret, message)
}

/** Secret (64 bytes, ed25519-expanded form) and public key of a 32-byte seed. */
export function pairFromSeed(seed: Uint8Array): { secret: Uint8Array; publicKey: Uint8Array } {
  const pair = sr25519_keypair_from_seed(seed)
  return { secret: pair.slice(0, 64), publicKey: pair.slice(64) }
}

/** Public key of a 64-byte secret in the ed25519-expanded form. */
export const publicKeyOf = (secret: Uint8Array): Uint8Array => sr25519_pubkey(secret)

/** The 32-byte seed of a hard junction. */
export const deriveHard = (seed: Uint8Array, chainCode: Uint8Array): Uint8Array =>
  sr25519_derive_seed_hard(seed, chainCode)

/**
 * The wallet files hold the scalar as it is; schnorrkel's ed25519 form, which signs here, is that
 * scalar times eight. The second half is the nonce seed in both.
 */
export function expandScalar(privateKey: Uint8Array): Uint8Array {
  return withScalar(privateKey, littleEndian(privateKey.subarray(0, 32)) << 3n)
}

/** The inverse of {@link expandScalar}, for writing wallet files. */
export function canonicalScalar(secret: Uint8Array): Uint8Array {
  return withScalar(secret, littleEndian(secret.subarray(0, 32)) >> 3n)
}

function withScalar(key: Uint8Array, scalar: bigint): Uint8Array {
  const out = Uint8Array.from(key)
  let rest = scalar
  for (let i = 0; i < 32; i += 1, rest >>= 8n) out[i] = Number(rest & 0xffn)
  return out
}
