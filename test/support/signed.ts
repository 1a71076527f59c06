import {
  type AnySynapse,
  btauthHeaders,
  btauthPayload,
  legacyMessage,
  legacyRequest,
  type PreparedRequest,
  prepareRequest,
  type RequestInput,
} from 'subreel/protocol'
import type { Signer } from 'subreel/wallet'

/** A request as a dendrite sends it, for inject or for a socket. */
export interface Signed {
  readonly method: 'POST'
  readonly url: string
  readonly headers: Record<string, string>
  readonly payload: string
}

export interface Signing {
  readonly sender: Signer
  /** The hotkey of the axon. */
  readonly receiver: string
  /** Unix nanoseconds. Default: now, and greater than every one before it. */
  readonly nonce?: bigint
  readonly uuid?: string
  readonly timeoutS?: number
  /** Signs something else. */
  readonly forged?: boolean
}

let lastNonce = 0n

export function nextNonce(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n
  lastNonce = now > lastNonce ? now : lastNonce + 1n
  return lastNonce
}

export const uuidOf = (n: number): string =>
  `00000000-0000-11f0-8000-${n.toString(16).padStart(12, '0')}`

const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`

function record(flat: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {}
  for (let i = 0; i < flat.length; i += 2) out[flat[i] ?? ''] = flat[i + 1] ?? ''
  return out
}

/** A legacy request of a payload that has been prepared once. */
export function signLegacy(prepared: PreparedRequest, of: Signing): Signed {
  const { receiver, nonce = nextNonce(), uuid = uuidOf(0), timeoutS = 12 } = of
  const sender = of.sender.address
  const { bodyHash } = prepared
  const message = legacyMessage({ nonce, sender, receiver, uuid, bodyHash })
  const signature = hex(of.sender.sign(Buffer.from(of.forged === true ? `${message}x` : message)))
  const { headers, body } = legacyRequest(prepared, {
    timeoutS,
    sender: { ip: '127.0.0.1', version: 10_005_000, nonce, uuid, hotkey: sender, signature },
    receiver: { ip: '127.0.0.1', port: 8091, hotkey: receiver },
  })
  const url = `/${prepared.definition.name}`
  return { method: 'POST', url, headers: record(headers), payload: body }
}

/** The same as a btauth/1 request. */
export function signBtauth(prepared: PreparedRequest, of: Signing): Signed {
  const { receiver, nonce = nextNonce() } = of
  const { scheme, address: sender } = of.sender
  const url = `/${prepared.definition.name}`
  const body = `{${prepared.members}}`
  const payload = btauthPayload({
    scheme,
    method: 'POST',
    target: url,
    body,
    nonce,
    sender,
    receiver,
  })
  const signature = hex(of.sender.sign(Buffer.from(of.forged === true ? `${payload}x` : payload)))
  const headers = record(btauthHeaders({ scheme, nonce, sender, receiver, signature }))
  return {
    method: 'POST',
    url,
    headers: { ...headers, 'content-type': 'application/json' },
    payload: body,
  }
}

/** Signs a payload in the legacy way. */
export const signed = <D extends AnySynapse>(
  definition: D,
  payload: RequestInput<D>,
  of: Signing,
): Signed => signLegacy(prepareRequest(definition, payload), of)

/** The bytes of a request on a socket. */
export function onWire(request: Signed): Buffer {
  const lines = [`POST ${request.url} HTTP/1.1`, 'Host: 127.0.0.1']
  for (const [name, value] of Object.entries(request.headers)) lines.push(`${name}: ${value}`)
  lines.push(`Content-Length: ${Buffer.byteLength(request.payload)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${request.payload}`)
}
