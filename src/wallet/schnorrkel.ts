import {
  sr25519_derive_seed_hard,
  sr25519_keypair_from_seed,
  sr25519_pubkey,
  sr25519_sign,
} from '@polkadot-labs/schnorrkel-wasm'

/**
 * sr25519 keys and signing, through the schnorrkel crate compiled to WebAssembly. The module panics on
 * input that is malformed rather than wrong; only keys of our own come here. docs/adr/0015 has the choice.
 */

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
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
