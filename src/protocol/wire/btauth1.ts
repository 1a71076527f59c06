import { createHash } from 'node:crypto'
import { accept, fault, refuse, type Verdict, type WireFault } from './fault.js'
import type { HeaderBag } from './legacy.js'

/** Signature schemes of btauth/1. */
export type BtauthScheme = 'sr25519' | 'ed25519'

/** What the headers of a btauth/1 request claim. */
export interface BtauthHeaders {
  readonly hotkey: string
  /** Undefined when the sender bound the request to nobody. */
  readonly receiver: string | undefined
  /** Unix nanoseconds. */
  readonly nonce: bigint
  readonly scheme: BtauthScheme
  /** 64 bytes. */
  readonly signature: Uint8Array
}

export const BTAUTH_VERSION = '1'

/** True when a request speaks btauth/1. */
export const isBtauth = (headers: HeaderBag): boolean =>
  headers['x-bittensor-version'] !== undefined

const NONCE = /^(?:0|-?[1-9][0-9]{0,38})$/
const SIGNATURE = /^0x[0-9a-f]{128}$/
const SS58 = /^[1-9A-HJ-NP-Za-km-z]{46,50}$/

/**
 * Reads the headers of a request, in canonical form only: the oddities other verifiers tolerate
 * (hex without `0x`, nonces with underscores) are refused as malformed.
 */
export function parseBtauthHeaders(headers: HeaderBag): Verdict<BtauthHeaders> {
  const bad = (what: string) => refuse<BtauthHeaders>('auth-malformed', `Malformed auth: ${what}`)
  const text = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value : undefined
  }
  const version = text('x-bittensor-version')
  if (version !== BTAUTH_VERSION) return bad('X-Bittensor-Version must be 1')
  const hotkey = text('x-bittensor-hotkey')
  if (hotkey === undefined || !SS58.test(hotkey)) return bad('X-Bittensor-Hotkey is not an ss58')
  const nonce = text('x-bittensor-nonce')
  if (nonce === undefined || !NONCE.test(nonce)) return bad('X-Bittensor-Nonce is not an integer')
  const crypto = headers['x-bittensor-crypto'] ?? 'sr25519'
  if (crypto !== 'sr25519' && crypto !== 'ed25519') return bad('X-Bittensor-Crypto is unknown')
  const signature = text('x-bittensor-signature')
  if (signature === undefined || !SIGNATURE.test(signature)) {
    return bad('X-Bittensor-Signature is not 64 bytes of hex')
  }
  const receiver = headers['x-bittensor-receiver']
  return accept({
    hotkey,
    receiver: typeof receiver === 'string' || receiver === undefined ? receiver : receiver.join(),
    nonce: BigInt(nonce),
    scheme: crypto,
    signature: new Uint8Array(Buffer.from(signature.slice(2), 'hex')),
  })
}

/** What a btauth/1 signature covers. */
export interface BtauthSigned {
  readonly scheme: BtauthScheme
  readonly method: string
  /** The request target exactly as on the wire: percent-encoded path and query. */
  readonly target: string
  /** Raw body bytes; an empty body is an empty array. */
  readonly body: Uint8Array | string
  readonly nonce: bigint
  readonly sender: string
  readonly receiver: string | undefined
}

/** The eight lines that are signed. */
export function btauthPayload(parts: BtauthSigned): string {
  const hash = createHash('sha256').update(parts.body).digest('hex')
  return [
    'btauth/1',
    parts.scheme,
    parts.method.toUpperCase(),
    parts.target,
    hash,
    parts.nonce,
    parts.sender,
    parts.receiver ?? '-',
  ].join('\n')
}

/** The headers of a request, flat. `signature` is `0x` and lower-case hex. */
export function btauthHeaders(parts: {
  readonly scheme: BtauthScheme
  readonly nonce: bigint
  readonly sender: string
  readonly receiver: string | undefined
  readonly signature: string
}): string[] {
  return [
    ['X-Bittensor-Version', BTAUTH_VERSION],
    ['X-Bittensor-Hotkey', parts.sender],
    parts.receiver === undefined ? [] : ['X-Bittensor-Receiver', parts.receiver],
    ['X-Bittensor-Nonce', String(parts.nonce)],
    parts.scheme === 'sr25519' ? [] : ['X-Bittensor-Crypto', parts.scheme],
    ['X-Bittensor-Signature', parts.signature],
  ].flat()
}

/** Whom and how old a request may be. */
export interface BtauthPolicy {
  /** Greatest age, in seconds. */
  readonly maxAgeS: number
  /** How far ahead of our clock a nonce may be, in seconds. */
  readonly skewS: number
  /** Whether a request bound to nobody is refused. One bound to somebody else always is. */
  readonly requireReceiver: boolean
}

export const BTAUTH_DEFAULTS: BtauthPolicy = { maxAgeS: 10, skewS: 2, requireReceiver: true }

const toNs = (seconds: number): bigint => BigInt(Math.round(seconds * 1e3)) * 1_000_000n

/** Receiver and age: what is checked before the signature. `undefined` when both are right. */
export function checkBtauth(
  headers: BtauthHeaders,
  context: { readonly ownHotkey: string; readonly nowNs: bigint },
  policy: BtauthPolicy = BTAUTH_DEFAULTS,
): WireFault | undefined {
  const { receiver, nonce } = headers
  if (receiver === undefined ? policy.requireReceiver : receiver !== context.ownHotkey) {
    return fault('receiver-mismatch', 'Wrong receiver: the request is not bound to this hotkey')
  }
  if (context.nowNs - nonce > toNs(policy.maxAgeS)) {
    return fault('nonce-stale', `Stale request: older than ${policy.maxAgeS} s`)
  }
  if (nonce - context.nowNs > toNs(policy.skewS)) {
    return fault('nonce-future', `Stale request: more than ${policy.skewS} s in the future`)
  }
  return undefined
}

/** The key under which an accepted request is remembered; seen before means replayed. */
export const btauthReplayKey = (headers: Pick<BtauthHeaders, 'hotkey' | 'nonce'>): string =>
  `${headers.hotkey}:${headers.nonce}`

/** How long a key must be remembered, in seconds. */
export const btauthRetentionS = (policy: BtauthPolicy): number => policy.maxAgeS + policy.skewS
