import { createPrivateKey, createPublicKey, type KeyObject, sign as nodeSign } from 'node:crypto'
import { Secret } from '../lib/secret.js'
import type { Hotkey } from '../protocol/units.js'
import { WalletError } from './errors.js'
import { pairFromSeed, publicKeyOf, signSr25519 } from './schnorrkel.js'
import { encodeAddress } from './ss58.js'
import type { CryptoScheme, Signer } from './types.js'

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

class Sr25519Signer implements Signer {
  readonly scheme = 'sr25519'
  readonly publicKey: Uint8Array
  readonly address: Hotkey
  readonly #secret: Secret<Uint8Array>

  constructor(secret: Uint8Array, publicKey: Uint8Array) {
    this.#secret = new Secret(secret)
    this.publicKey = publicKey
    this.address = encodeAddress(publicKey)
  }

  sign(message: Uint8Array): Uint8Array {
    return signSr25519(this.publicKey, this.#secret.reveal(), message)
  }
}

class Ed25519Signer implements Signer {
  readonly scheme = 'ed25519'
  readonly publicKey: Uint8Array
  readonly address: Hotkey
  readonly #key: Secret<KeyObject>

  constructor(seed: Uint8Array) {
    const key = createPrivateKey({
      key: Buffer.concat([PKCS8_ED25519, seed]),
      format: 'der',
      type: 'pkcs8',
    })
    this.#key = new Secret(key)
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    this.publicKey = Uint8Array.from(spki.subarray(spki.length - 32))
    this.address = encodeAddress(this.publicKey)
  }

  sign(message: Uint8Array): Uint8Array {
    return nodeSign(null, message, this.#key.reveal())
  }
}

/**
 * A signer from a 32-byte seed (the `secretSeed` of a wallet file).
 *
 * @throws WalletError WALLET_KEY_INVALID
 */
export function signerFromSeed(seed: Secret<Uint8Array>, scheme: CryptoScheme = 'sr25519'): Signer {
  const bytes = seed.reveal()
  if (bytes.length !== 32) throw wrongLength('seed', 32, bytes.length)
  if (scheme === 'ed25519') return new Ed25519Signer(bytes)
  const pair = pairFromSeed(bytes)
  return new Sr25519Signer(pair.secret, pair.publicKey)
}

/**
 * An sr25519 signer from a 64-byte secret in the ed25519-expanded form. Wallet files hold another
 * form: see `expandScalar`.
 *
 * @throws WalletError WALLET_KEY_INVALID
 */
export function signerFromSecret(secret: Secret<Uint8Array>): Signer {
  const bytes = secret.reveal()
  if (bytes.length !== 64) throw wrongLength('secret key', 64, bytes.length)
  return new Sr25519Signer(bytes, publicKeyOf(bytes))
}

function wrongLength(what: string, wanted: number, got: number): WalletError {
  return new WalletError(
    { code: 'WALLET_KEY_INVALID', why: `${what} of ${got} bytes` },
    `a ${what} has ${wanted} bytes, this one ${got}`,
  )
}
