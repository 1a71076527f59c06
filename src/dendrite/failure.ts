import type { FailureKind } from './types.js'

/** A call that ended without a readable reply, numbered as the Python dendrite numbers it. */
export interface Failure {
  readonly kind: FailureKind
  readonly status: number
  readonly message: string
}

/** Thrown inside the transport where the place of the failure decides what it means. */
export class TransportFailure extends Error {
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
])

/**
 * Our own machine is out of something. Not ENETUNREACH: a miner could announce an address to which no
 * route leads, and pass for our fault.
 */
const LOCAL = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS', 'EADDRNOTAVAIL'])

export interface FailurePlace {
  /** `ip:port/Name`. */
  readonly place: string
  /** The head of the reply had arrived. */
  readonly inBody: boolean
}

/** `timeoutText` is as the timeout header says it, e.g. `12.0`. */
export const timedOut = (timeoutText: string): Failure => ({
  kind: 'timeout',
  status: 408,
  message: `Request timeout after ${timeoutText} seconds`,
})

/** What a socket or parser error means. The table is the Python dendrite's. */
export function classify(error: unknown, where: FailurePlace): Failure {
  if (error instanceof TransportFailure) return error.failure
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : String(error)
  if (UNREACHABLE.has(code) || LOCAL.has(code)) {
    return {
      kind: LOCAL.has(code) ? 'local' : 'unreachable',
      status: 503,
      message: `Service unavailable at ${where.place}`,
    }
  }
  if (
    where.inBody &&
    (code === 'UND_ERR_SOCKET' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH')
  ) {
    return { kind: 'bad-reply', status: 400, message: 'Payload error: the body ended early' }
  }
  if (code === 'UND_ERR_SOCKET') {
    return {
      kind: 'disconnected',
      status: 503,
      message: 'Service disconnected: Server disconnected',
    }
  }
  // undici leaves some parser errors without a code.
  const unparsable = error instanceof Error && error.name === 'HTTPParserError'
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code.startsWith('HPE_') || unparsable) {
    return { kind: 'bad-reply', status: 400, message: `Client response error: 400, ${text}` }
  }
  return { kind: 'bad-reply', status: 422, message: `Failed to parse response: ${text}` }
}

function codeOf(error: unknown): string {
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    if ('code' in e && typeof e.code === 'string') return e.code
  }
  return ''
}
