import type { AnySynapse } from '../synapse.js'
import { accept, fault, notVerified, refuse, type Verdict, type WireFault } from './fault.js'
import { UNIX_NONCE_VERSION } from './version.js'

/** Request headers as Node's HTTP server gives them: lower-case names. */
export type HeaderBag = Readonly<Record<string, string | readonly string[] | undefined>>

/** The caller as the headers claim; nothing of it is true before the signature is verified. */
export interface LegacySender {
  readonly ip: string | undefined
  readonly version: number | undefined
  /** Unix nanoseconds. */
  readonly nonce: bigint | undefined
  readonly uuid: string | undefined
  readonly hotkey: string | undefined
  /** `0x` and hex. */
  readonly signature: string | undefined
}

export interface LegacyReceiver {
  readonly ip: string | undefined
  readonly port: number | undefined
  readonly hotkey: string | undefined
}

/** The protocol's part of a request's headers. */
export interface LegacyHeaders {
  readonly name: string | undefined
  /** Seconds; the caller's patience. Unsigned. */
  readonly timeoutS: number | undefined
  readonly sender: LegacySender
  readonly receiver: LegacyReceiver
  /** Lower-case hex. */
  readonly bodyHash: string | undefined
}

const INTEGER = /^[+-]?[0-9]{1,40}$/
const NUMBER = /^[+-]?(?:[0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})(?:e[+-]?[0-9]{1,4})?$/i

const SPECIAL_FLOATS: Readonly<Record<string, number>> = {
  inf: Number.POSITIVE_INFINITY,
  '+inf': Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  infinity: Number.POSITIVE_INFINITY,
  nan: Number.NaN,
}

/** True when a request speaks the legacy protocol at all. */
export const isLegacy = (headers: HeaderBag): boolean =>
  headers['bt_header_dendrite_hotkey'] !== undefined ||
  headers['bt_header_dendrite_signature'] !== undefined ||
  headers['bt_header_dendrite_nonce'] !== undefined

/**
 * Reads the headers of a request. Absent ones stay `undefined`; which of them are needed is for
 * checkLegacySender to say. A header that was sent twice is refused where its joined form is no value.
 */
export function parseLegacyHeaders(headers: HeaderBag): Verdict<LegacyHeaders> {
  const text = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value.trim() : value?.at(-1)?.trim()
  }
  const bad = (name: string) => refuse<LegacyHeaders>('header-invalid', `Bad header: ${name}`)
  const timeoutText = text('timeout')
  const timeoutS = timeoutText === undefined ? undefined : parseFloatText(timeoutText)
  if (timeoutText !== undefined && timeoutS === undefined) return bad('timeout')
  const nonceText = text('bt_header_dendrite_nonce')
  if (nonceText !== undefined && !INTEGER.test(nonceText)) return bad('bt_header_dendrite_nonce')
  const versionText = text('bt_header_dendrite_version')
  if (versionText !== undefined && !INTEGER.test(versionText)) {
    return bad('bt_header_dendrite_version')
  }
  const portText = text('bt_header_axon_port')
  if (portText !== undefined && !INTEGER.test(portText)) return bad('bt_header_axon_port')
  return accept({
    name: text('name'),
    timeoutS,
    sender: {
      ip: text('bt_header_dendrite_ip'),
      version: versionText === undefined ? undefined : Number(versionText),
      nonce: nonceText === undefined ? undefined : BigInt(nonceText.replace(/^\+/, '')),
      uuid: text('bt_header_dendrite_uuid'),
      hotkey: text('bt_header_dendrite_hotkey'),
      signature: text('bt_header_dendrite_signature'),
    },
    receiver: {
      ip: text('bt_header_axon_ip'),
      port: portText === undefined ? undefined : Number(portText),
      hotkey: text('bt_header_axon_hotkey'),
    },
    bodyHash: text('computed_body_hash'),
  })
}

/** Reads what Python's float() reads of a header; undefined if it would raise. */
export function parseFloatText(text: string): number | undefined {
  return NUMBER.test(text) ? Number(text) : SPECIAL_FLOATS[text.toLowerCase()]
}

/** A caller whose headers hold all that a signature needs. */
export interface CompleteSender extends LegacySender {
  readonly nonce: bigint
  readonly uuid: string
  readonly hotkey: string
  readonly signature: string
  readonly bodyHash: string
}

const SS58 = /^[1-9A-HJ-NP-Za-km-z]{46,50}$/
const HASH = /^[0-9a-f]{64}$/
const SIGNATURE = /^0x[0-9a-f]{128}$/
const UUID_MAX = 64

/**
 * Everything about the sender that can be said without cryptography. Refuses what the Python axon
 * would print as the word None into the signed message, and signatures not in canonical form.
 */
export function checkLegacySender(headers: LegacyHeaders): Verdict<CompleteSender> {
  const no = (refused: WireFault): Verdict<CompleteSender> => ({ ok: false, fault: refused })
  const { sender, bodyHash } = headers
  const { nonce, uuid, hotkey, signature } = sender
  if (hotkey === undefined) {
    return no(notVerified('hotkey-invalid', 'No SS58 formatted address or public key provided.'))
  }
  if (!SS58.test(hotkey)) return no(notVerified('hotkey-invalid', 'Invalid SS58 address'))
  if (nonce === undefined) return no(notVerified('nonce-missing', 'Missing Nonce'))
  if (signature === undefined) return no(notVerified('signature-missing', 'Missing Signature'))
  if (!SIGNATURE.test(signature)) {
    return no(notVerified('signature-malformed', 'Invalid signature format. Expected hex string.'))
  }
  if (uuid === undefined || uuid === '' || uuid.length > UUID_MAX) {
    return no(notVerified('sender-incomplete', 'Missing UUID'))
  }
  if (bodyHash === undefined || !HASH.test(bodyHash)) {
    return no(notVerified('sender-incomplete', 'Missing body hash'))
  }
  return accept({ ...sender, nonce, uuid, hotkey, signature, bodyHash })
}

/** The parts that a legacy signature covers. */
export interface LegacySigned {
  readonly nonce: bigint
  readonly sender: string
  readonly receiver: string
  readonly uuid: string
  readonly bodyHash: string
}

/** `{nonce}.{sender}.{receiver}.{uuid}.{body hash}`; signed with sr25519, context `substrate`. */
export const legacyMessage = (parts: LegacySigned): string =>
  `${parts.nonce}.${parts.sender}.${parts.receiver}.${parts.uuid}.${parts.bodyHash}`

/** Which nonces are fresh enough. */
export interface NoncePolicy {
  /** Age allowed on top of the timeout header, in seconds. */
  readonly deltaS: number
  /** The timeout header is unsigned: beyond this it widens the window no more, in seconds. */
  readonly maxTimeoutS: number
  /** How far ahead of our clock a nonce may be, in seconds. */
  readonly maxAheadS: number
  /** Callers older than 7.2.0 send a nonce that is no time at all; true takes them without freshness. */
  readonly acceptUndated: boolean
  /**
   * One row of rising nonces for each hotkey, whatever uuids its dendrites have. Python's axon has a
   * row for each uuid: two dendrites of one hotkey may overtake each other. Default false.
   */
  readonly acrossUuids?: boolean
}

/** The default: what no honest SDK of 7.2.0 or later ever trips over, and nothing wider. */
export const STRICT_NONCES: NoncePolicy = {
  deltaS: 4,
  maxTimeoutS: 30,
  maxAheadS: 16,
  acceptUndated: false,
}

/** Exactly the Python axon: any timeout widens the window, the future is open, undated callers pass. */
export const UPSTREAM_NONCES: NoncePolicy = {
  deltaS: 4,
  maxTimeoutS: Number.POSITIVE_INFINITY,
  maxAheadS: Number.POSITIVE_INFINITY,
  acceptUndated: true,
}

export interface NonceCheck {
  readonly nonce: bigint
  readonly nowNs: bigint
  readonly timeoutS: number | undefined
  readonly version: number | undefined
  /** The last nonce accepted under this nonceKey. */
  readonly lastNonce: bigint | undefined
}

const toNs = (seconds: number): bigint => BigInt(Math.round(seconds * 1e3)) * 1_000_000n
const seconds = (ns: bigint): string => (Number(ns) / 1e9).toFixed(2)

/** The key under which a nonce is remembered. */
export const nonceKey = (
  hotkey: string,
  uuid: string,
  { acrossUuids = false }: Pick<NoncePolicy, 'acrossUuids'> = {},
): string => `${hotkey}:${acrossUuids ? '' : uuid}`

/**
 * Whether a nonce is fresh: `undefined` if so. Age counts even when the key is known, so that memory
 * of keys may be dropped once their nonces are too old to be accepted again.
 */
export function checkLegacyNonce(
  check: NonceCheck,
  policy: NoncePolicy = STRICT_NONCES,
): WireFault | undefined {
  const { nonce, nowNs, lastNonce } = check
  if (lastNonce !== undefined && nonce <= lastNonce) {
    return notVerified('nonce-replayed', 'Nonce is too old, a newer one was last processed')
  }
  const dated = check.version !== undefined && check.version >= UNIX_NONCE_VERSION
  if (!dated && policy.acceptUndated) return undefined
  const allowedS = nonceWindowS(check.timeoutS, policy)
  const known = lastNonce !== undefined && policy.acceptUndated
  if (!known && Number.isFinite(allowedS) && nonce <= nowNs - toNs(allowedS)) {
    return notVerified(
      'nonce-stale',
      `Nonce is too old: acceptable delta is ${allowedS.toFixed(2)} seconds but request was ${seconds(nowNs - nonce)} seconds old`,
    )
  }
  if (!dated) return notVerified('sender-incomplete', 'Missing version, or older than 7.2.0')
  if (Number.isFinite(policy.maxAheadS) && nonce > nowNs + toNs(policy.maxAheadS)) {
    return notVerified('nonce-future', `Nonce is ${seconds(nonce - nowNs)} seconds in the future`)
  }
  return undefined
}

/** Greatest age of an acceptable nonce, in seconds. */
export function nonceWindowS(timeoutS: number | undefined, policy: NoncePolicy): number {
  const timeout = timeoutS ?? 0
  if (Number.isNaN(timeout)) {
    return policy.maxTimeoutS === Number.POSITIVE_INFINITY ? timeout : policy.deltaS
  }
  return policy.deltaS + Math.min(Math.max(timeout, 0), policy.maxTimeoutS)
}

/** Fault of a request without the placeholder headers a Python axon needs for required fields. */
export function checkPlaceholders(
  definition: AnySynapse,
  headers: HeaderBag,
): WireFault | undefined {
  for (const field of definition.requiredFields) {
    const value = headers[`bt_header_input_obj_${field.toLowerCase()}`]
    if (typeof value !== 'string' || !isJsonBase64(value)) {
      return fault('placeholder-missing', `Bad or missing header: bt_header_input_obj_${field}`)
    }
  }
  return undefined
}

function isJsonBase64(text: string): boolean {
  try {
    JSON.parse(Buffer.from(text, 'base64').toString('utf8'))
    return true
  } catch {
    return false
  }
}
