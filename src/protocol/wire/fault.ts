import { isQuotable } from './json.js'

/** Why a request is refused. A closed set, usable as a metric label. */
export const FAULT_STATUS = {
  'header-invalid': 500,
  'placeholder-missing': 500,
  'nonce-missing': 401,
  'nonce-stale': 401,
  'nonce-future': 401,
  'nonce-replayed': 401,
  'hotkey-invalid': 401,
  'signature-missing': 401,
  'signature-malformed': 401,
  'signature-mismatch': 401,
  'sender-incomplete': 401,
  'receiver-mismatch': 401,
  'auth-malformed': 401,
  'body-hash-mismatch': 500,
  'json-malformed': 422,
  'body-invalid': 500,
  'content-type': 500,
  'synapse-unknown': 404,
  'method-refused': 405,
  'body-too-large': 413,
  'request-malformed': 400,
  blacklisted: 403,
  'rate-limited': 429,
  'priority-timeout': 408,
  overloaded: 429,
  refused: 403,
  internal: 500,
} as const

export type FaultCode = keyof typeof FAULT_STATUS

/**
 * A refusal as it goes to the peer. Statuses are those of the Python axon (a bad body is a 500
 * there); messages say what was wrong, hold no secret and are short printable ASCII.
 */
export interface WireFault {
  readonly code: FaultCode
  readonly status: number
  readonly message: string
}

export type Verdict<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: WireFault }

export const accept = <T>(value: T): Verdict<T> => ({ ok: true, value })

export function fault(code: FaultCode, message: string): WireFault {
  return { code, status: FAULT_STATUS[code], message: headerSafe(message) }
}

export const refuse = <T>(code: FaultCode, message: string): Verdict<T> => ({
  ok: false,
  fault: fault(code, message),
})

/** A 401 in the words of the Python axon. */
export const notVerified = (code: FaultCode, text: string): WireFault =>
  fault(code, `Not Verified with error: ${text}`)

/** With the braces around it a refusal's body stays within 200 bytes. */
export const FAULT_MESSAGE_MAX_BYTES = 180

/** Text that may stand in a header and in JSON as it is: printable ASCII, cut to 180 bytes. */
export function headerSafe(text: string): string {
  if (text.length <= FAULT_MESSAGE_MAX_BYTES && isQuotable(text)) return text
  return text
    .slice(0, FAULT_MESSAGE_MAX_BYTES)
    .replaceAll('"', "'")
    .replaceAll('\\', '/')
    .replace(/[^\x20-\x7e]/g, '?')
}

/** The JSON body of a refusal. */
export const faultBody = (refused: WireFault): string =>
  JSON.stringify({ message: refused.message })
