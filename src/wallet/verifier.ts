import { createPublicKey, type KeyObject, verify as nodeVerify } from 'node:crypto'
import { LruMap } from '../lib/lru.js'
import { verifySr25519 } from './sr25519.js'
import type { SignatureVerifier } from './types.js'

export type VerifyInput = Parameters<SignatureVerifier['verify']>[0]

const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')
const KNOWN_KEYS = 1024

const ed25519Keys = new LruMap<string, KeyObject>(KNOWN_KEYS)

function ed25519Key(publicKey: Uint8Array): KeyObject {
  const id = Buffer.from(publicKey).toString('latin1')
  const known = ed25519Keys.get(id)
  if (known !== undefined) return known
  const key = createPublicKey({
    key: Buffer.concat([SPKI_ED25519, publicKey]),
    format: 'der',
    type: 'spki',
  })
  ed25519Keys.set(id, key)
  return key
}

/** Checks one signature in this thread. False for anything malformed; never throws. */
export function verifySignature(input: VerifyInput): boolean {
  const { scheme, publicKey, message, signature } = input
  if (scheme === 'sr25519') return verifySr25519(publicKey, message, signature)
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    return nodeVerify(null, message, ed25519Key(publicKey), signature)
  } catch {
    return false
  }
}

/** Checks signatures in the calling thread. */
export const inlineVerifier: SignatureVerifier = { verify: verifySignature }
