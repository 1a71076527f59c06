import { blake2b } from '@noble/hashes/blake2.js'
import { Secret } from '../lib/secret.js'
import { WalletError } from './errors.js'
import { deriveHard } from './schnorrkel.js'
import { signerFromSeed } from './signer.js'
import type { CryptoScheme, Signer } from './types.js'

/** The seed of Substrate's published development phrase. Anybody can sign with it. */
const DEV_SEED = 'fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e'
const URI = /^(?:0x(?<seed>[0-9a-fA-F]{64}))?(?<path>(?:\/\/[^/]+)*)$/
const ED25519_HDKD = Buffer.from('\u002cEd25519HDKD', 'latin1')

export interface UriOptions {
  readonly scheme?: CryptoScheme
  /** The chain the key is for. Refused unless local: these keys are public knowledge. */
  readonly chainEndpoint?: string
}

/** A junction's chain code: SCALE of the number or text, hashed when longer than 32 bytes. */
function chainCode(junction: string): Uint8Array {
  const code = Buffer.alloc(32)
  if (/^\d+$/.test(junction)) {
    code.writeBigUInt64LE(BigInt.asUintN(64, BigInt(junction)))
    return code
  }
  const text = Buffer.from(junction, 'utf8')
  // SCALE writes lengths under 64 in one byte, shifted left by two.
  const head =
    text.length < 64 ? [text.length << 2] : [((text.length << 2) & 0xff) | 1, text.length >> 6]
  const encoded = Buffer.concat([Buffer.from(head), text])
  if (encoded.length > 32) return blake2b(encoded, { dkLen: 32 })
  encoded.copy(code)
  return code
}

/** The 32-byte seed of a secret URI. @throws WalletError WALLET_URI_INVALID */
export function seedFromUri(uri: string, scheme: CryptoScheme = 'sr25519'): Secret<Uint8Array> {
  const match = URI.exec(uri)
  if (uri === '' || match === null) {
    throw new WalletError(
      { code: 'WALLET_URI_INVALID', why: 'unknown form' },
      'a secret URI is //Name (a development key) or a 0x-hex seed followed by //Name parts',
    )
  }
  let seed: Uint8Array = Buffer.from(match.groups?.['seed'] ?? DEV_SEED, 'hex')
  for (const junction of (match.groups?.['path'] ?? '').split('//').slice(1)) {
    seed =
      scheme === 'sr25519'
        ? deriveHard(seed, chainCode(junction))
        : blake2b(Buffer.concat([ED25519_HDKD, seed, chainCode(junction)]), { dkLen: 32 })
  }
  return new Secret(Uint8Array.from(seed))
}

/**
 * A signer for a local network: `signerFromUri('//Alice')`. Hard junctions only.
 *
 * @throws WalletError WALLET_URI_INVALID, WALLET_DEV_KEY_REFUSED
 */
export function signerFromUri(uri: string, options: UriOptions = {}): Signer {
  const { chainEndpoint, scheme = 'sr25519' } = options
  if (chainEndpoint !== undefined && !isLocalEndpoint(chainEndpoint)) {
    throw new WalletError(
      { code: 'WALLET_DEV_KEY_REFUSED', endpoint: chainEndpoint },
      'development keys are public and work on local networks only: use a hotkey of your own',
    )
  }
  return signerFromSeed(seedFromUri(uri, scheme), scheme)
}

const LOCAL_HOST =
  /^(?:localhost|.+\.localhost|.+\.local|[^.:]+|127\.\d+\.\d+\.\d+|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+|\[::1\])$/

/** Whether a chain endpoint is on this machine or a private network (a bare name is one of compose). */
export function isLocalEndpoint(endpoint: string): boolean {
  try {
    return LOCAL_HOST.test(new URL(endpoint).hostname.toLowerCase())
  } catch {
    return false
  }
}
