import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { bls12_381 } from '@noble/curves/bls12-381.js'

const DST = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_'
const sha256 = (...parts: Uint8Array[]): Buffer =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()

const xor = (a: Uint8Array, b: Uint8Array): Buffer =>
  Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)))

function u64(value: number): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64LE(BigInt(value))
  return out
}

const prefixed = (data: Uint8Array): Buffer => Buffer.concat([u64(data.length), data])

function pairingBytes(value: ReturnType<typeof bls12_381.pairing>): Buffer {
  const sixes = [value.c0, value.c1]
  const coefficients = sixes
    .flatMap((six) => [six.c0, six.c1, six.c2])
    .flatMap((two) => [two.c0, two.c1])
  return Buffer.concat(
    coefficients.map((c) => Buffer.from(c.toString(16).padStart(96, '0'), 'hex').reverse()),
  )
}

/** Seals bytes to a drand round as a timelocked commit, written from the scheme's description. */
export function sealToRound(plain: Uint8Array, round: number, publicKey: Uint8Array): Buffer {
  const key = randomBytes(32)
  const sigma = randomBytes(32)
  const scalar = bls12_381.fields.Fr.create(BigInt(`0x${sha256(sigma, key).toString('hex')}`))
  const message = sha256(u64(round).reverse())
  const identity = bls12_381.G1.hashToCurve(message, { DST })
  const shared = bls12_381.pairing(
    bls12_381.G1.Point.fromHex(identity.toHex(true)),
    bls12_381.G2.Point.fromBytes(publicKey).multiply(scalar),
  )
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const text = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return Buffer.concat([
    bls12_381.G2.Point.BASE.multiply(scalar).toBytes(true),
    prefixed(xor(sigma, sha256(pairingBytes(shared)))),
    prefixed(xor(key, sha256(sigma))),
    prefixed(Buffer.concat([prefixed(text), prefixed(nonce)])),
    prefixed(Buffer.from('AES_GCM_')),
  ])
}

/** The plain text of a weights commit. Lists are shorter than 64 items. */
export function weightsPayload(
  hotkey: Uint8Array,
  uids: readonly number[],
  values: readonly number[],
): Buffer {
  const list = (items: readonly number[]): Buffer =>
    Buffer.from([items.length << 2, ...items.flatMap((item) => [item & 0xff, item >> 8])])
  return Buffer.concat([Buffer.from([0x80]), hotkey, list(uids), list(values), u64(0)])
}
