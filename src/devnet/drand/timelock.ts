import { createDecipheriv } from 'node:crypto'
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { Reader } from '../scale/bytes.js'

const U_BYTES = 96
const KEY_BYTES = 32
const TAG_BYTES = 16
const NONCE_BYTES = 12
const SUITE = 'AES_GCM_'
const FP_BYTES = 48

/** A length in front of data: eight bytes, little-endian. */
function lengthPrefixed(input: Reader): Uint8Array {
  const length = input.int(8)
  if (length > BigInt(input.remaining)) throw new RangeError('a part is longer than the commit')
  return input.bytes(Number(length))
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array =>
  Uint8Array.from(a, (byte, i) => byte ^ (b[i] ?? 0))

type Fp12 = ReturnType<typeof bls12_381.pairing>

/** The twelve coefficients of a pairing value, each 48 bytes little-endian, in tower order. */
function pairingBytes(value: Fp12): Uint8Array {
  const out: Uint8Array[] = []
  for (const six of [value.c0, value.c1]) {
    for (const two of [six.c0, six.c1, six.c2]) {
      for (const coefficient of [two.c0, two.c1]) {
        const hex = coefficient.toString(16).padStart(FP_BYTES * 2, '0')
        out.push(Buffer.from(hex, 'hex').reverse())
      }
    }
  }
  return Buffer.concat(out)
}

/**
 * Opens a timelocked commit with the signature of its round: identity-based encryption over
 * BLS12-381 (identities and signatures in G1) around AES-256-GCM.
 *
 * @param sealed the bytes of the extrinsic: U, V, W, body and suite
 * @param signature 48 bytes, compressed
 * @throws for anything that was not sealed to this round
 */
export function openTimelocked(sealed: Uint8Array, signature: Uint8Array): Uint8Array {
  const input = new Reader(sealed)
  const u = bls12_381.G2.Point.fromBytes(input.bytes(U_BYTES))
  const v = lengthPrefixed(input)
  const w = lengthPrefixed(input)
  const body = new Reader(lengthPrefixed(input))
  const suite = Buffer.from(lengthPrefixed(input)).toString('latin1')
  if (v.length !== KEY_BYTES || w.length !== KEY_BYTES || suite !== SUITE) {
    throw new RangeError('not a timelocked commit')
  }
  const round = bls12_381.G1.Point.fromBytes(signature)
  const sigma = xor(v, sha256(pairingBytes(bls12_381.pairing(round, u))))
  const key = xor(w, sha256(sigma))
  const scalar = bls12_381.fields.Fr.create(
    BigInt(`0x${Buffer.from(sha256(Buffer.concat([sigma, key]))).toString('hex')}`),
  )
  if (!bls12_381.G2.Point.BASE.multiply(scalar).equals(u)) {
    throw new RangeError('sealed to another round or key')
  }
  const cipher = lengthPrefixed(body)
  const nonce = lengthPrefixed(body)
  if (nonce.length !== NONCE_BYTES || cipher.length < TAG_BYTES) {
    throw new RangeError('the sealed body is not AES-GCM')
  }
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAuthTag(cipher.subarray(cipher.length - TAG_BYTES))
  const text = cipher.subarray(0, cipher.length - TAG_BYTES)
  return Buffer.concat([decipher.update(text), decipher.final()])
}
