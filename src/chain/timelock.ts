import { gcm } from '@noble/ciphers/aes.js'
import { bls12_381 as bls } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Rng } from '../lib/rng.js'
import { ChainError } from './errors.js'
import { compact, concatBytes, u64le } from './scale.js'

/*
 * Timelock encryption as bittensor_drand writes it (not the drand/age scheme of tlock-js, which hashes
 * and frames differently): Boneh–Franklin on BLS12-381 with the round as identity, public key in G2,
 * signatures in G1 (drand quicknet, "bls-unchained-g1-rfc9380"), AES-256-GCM for the body.
 *
 *   U            96   G2 point, compressed
 *   len V        8+32 sigma XOR sha256(gt)
 *   len W        8+32 key XOR sha256(sigma)
 *   len body     8+n  len ct, ct, len 12, nonce
 *   len suite    8+8  "AES_GCM_"
 * every length a u64, little-endian.
 */
const { G1, G2 } = bls
const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_'
const SUITE = new TextEncoder().encode('AES_GCM_')
const POINT_BYTES = 96
const SECRET_BYTES = 32
const NONCE_BYTES = 12

/** Public key of drand's quicknet, a compressed G2 point. */
export const QUICKNET_PUBLIC_KEY =
  '83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c' +
  '8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb' +
  '5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a'

type Gt = ReturnType<typeof bls.pairing>

/**
 * Seals `plaintext` until `round` is published.
 *
 * @param publicKey compressed G2 point in hex; quicknet's unless the chain runs its own rounds
 * @returns the bytes that go on chain: 244 more than the plaintext
 */
export function seal(
  plaintext: Uint8Array,
  round: number,
  rng: Rng,
  publicKey: string = QUICKNET_PUBLIC_KEY,
): Uint8Array {
  const key = rng.bytes(SECRET_BYTES)
  const sigma = rng.bytes(SECRET_BYTES)
  const nonce = rng.bytes(NONCE_BYTES)
  const r = exponent(sigma, key)
  const shared = bls.pairing(roundPoint(round), G2.Point.fromHex(publicKey).multiply(r))
  const body = concatBytes(sized(gcm(key, nonce).encrypt(plaintext)), sized(nonce))
  return concatBytes(
    G2.Point.BASE.multiply(r).toBytes(true),
    sized(xor(sigma, sha256(gtBytes(shared)))),
    sized(xor(key, sha256(sigma))),
    sized(body),
    sized(SUITE),
  )
}

/**
 * Opens what `seal` or bittensor_drand sealed.
 *
 * @param signature the round's published signature, a compressed G1 point in hex
 * @throws ChainError CHAIN_TIMELOCK_MALFORMED, or CHAIN_TIMELOCK_SEALED when the signature does not open it
 */
export function open(sealed: Uint8Array, signature: string): Uint8Array {
  const reader = new Reader(sealed)
  const point = reader.take(POINT_BYTES)
  const v = reader.sized(SECRET_BYTES)
  const w = reader.sized(SECRET_BYTES)
  const body = new Reader(reader.sized())
  const suite = reader.sized(SUITE.length)
  const ciphertext = body.sized()
  const nonce = body.sized(NONCE_BYTES)
  if (!equal(suite, SUITE)) throw malformed('the cipher suite is not AES_GCM_')
  const u = parsePoint(() => G2.Point.fromHex(bytesToHex(point)), 'U is not a G2 point')
  const s = parsePoint(() => G1.Point.fromHex(signature), 'the signature is not a G1 point')
  const sigma = xor(v, sha256(gtBytes(bls.pairing(s, u))))
  const key = xor(w, sha256(sigma))
  if (!G2.Point.BASE.multiply(exponent(sigma, key)).equals(u)) throw stillSealed()
  try {
    return gcm(key, nonce).decrypt(ciphertext)
  } catch (cause) {
    throw stillSealed(cause)
  }
}

/** The portable envelope around sealed bytes: what the SDK's `timelock` helpers pass around. */
export function toEnvelope(sealed: Uint8Array, round: number): Uint8Array {
  return concatBytes(compact(sealed.length), sealed, u64le(round))
}

/** @throws ChainError CHAIN_TIMELOCK_MALFORMED */
export function fromEnvelope(envelope: Uint8Array): { sealed: Uint8Array; round: number } {
  const mode = (envelope[0] ?? 0) & 3
  const prefix = mode === 0 ? 1 : mode === 1 ? 2 : 4
  const sealed = envelope.subarray(prefix, -8)
  if (mode === 3 || !equal(compact(sealed.length), envelope.subarray(0, prefix))) {
    throw malformed('the envelope does not have the length it states')
  }
  const view = new DataView(envelope.buffer, envelope.byteOffset, envelope.byteLength)
  return { sealed, round: Number(view.getBigUint64(envelope.length - 8, true)) }
}

/** Whether `signature` is the one drand publishes for `round`. */
export function verifyRound(
  round: number,
  signature: string,
  publicKey: string = QUICKNET_PUBLIC_KEY,
): boolean {
  const left = bls.pairing(roundPoint(round), G2.Point.fromHex(publicKey))
  const right = bls.pairing(G1.Point.fromHex(signature), G2.Point.BASE)
  return bls.fields.Fp12.eql(left, right)
}

/** The round as an identity: its number, big-endian, hashed, hashed to G1. */
function roundPoint(round: number) {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(round), false)
  return G1.Point.fromAffine(G1.hashToCurve(sha256(bytes), { DST }).toAffine())
}

function exponent(sigma: Uint8Array, key: Uint8Array): bigint {
  const hash = sha256(concatBytes(sigma, key))
  return BigInt(`0x${bytesToHex(hash)}`) % bls.fields.Fr.ORDER
}

/** 12 coefficients in tower order, each 48 bytes little-endian. */
function gtBytes(value: Gt): Uint8Array {
  const coefficients = [value.c0, value.c1]
    .flatMap((six) => [six.c0, six.c1, six.c2])
    .flatMap((two) => [two.c0, two.c1])
  return concatBytes(...coefficients.map(littleEndian48))
}

function littleEndian48(value: bigint): Uint8Array {
  const hex = value.toString(16).padStart(96, '0')
  return Uint8Array.from(Buffer.from(hex, 'hex')).reverse()
}

const xor = (a: Uint8Array, b: Uint8Array) => a.map((byte, i) => byte ^ (b[i] ?? 0))
const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
const sized = (bytes: Uint8Array) => concatBytes(u64le(bytes.length), bytes)

class Reader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  take(length: number): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) throw malformed(`it ends after ${this.#bytes.length} bytes`)
    const out = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return out
  }

  sized(expected?: number): Uint8Array {
    const head = this.take(8)
    const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true)
    if (length > BigInt(this.#bytes.length)) throw malformed(`a part of ${length} bytes`)
    if (expected !== undefined && Number(length) !== expected) {
      throw malformed(`a part of ${length} bytes where ${expected} belong`)
    }
    return this.take(Number(length))
  }
}

function parsePoint<T>(parse: () => T, reason: string): T {
  try {
    return parse()
  } catch (cause) {
    throw malformed(reason, cause)
  }
}

function malformed(reason: string, cause?: unknown): ChainError {
  return new ChainError(
    { code: 'CHAIN_TIMELOCK_MALFORMED', reason },
    `this is not a timelocked ciphertext: ${reason}`,
    { cause },
  )
}

function stillSealed(cause?: unknown): ChainError {
  return new ChainError(
    { code: 'CHAIN_TIMELOCK_SEALED' },
    'the signature does not open this ciphertext: it was sealed to another round or key',
    { cause },
  )
}
