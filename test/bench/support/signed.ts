import { legacyMessage, legacyRequest, prepareRequest, VideoUpscaling } from 'subreel/protocol'
import type { Signer } from 'subreel/wallet'

const prepared = prepareRequest(VideoUpscaling, {
  miner_payload: { reference_video_url: 'https://example.com/clip.mp4?sig=0123456789abcdef' },
})

let lastNonce = 0n

/** A nonce of now, greater than every one before it. */
function nextNonce(): bigint {
  const now = BigInt(Date.now()) * 1_000_000n
  lastNonce = now > lastNonce ? now : lastNonce + 1n
  return lastNonce
}

export interface Signing {
  readonly sender: Signer
  readonly receiver: string
  readonly uuid: string
  /** Spoils the signature. */
  readonly forged?: boolean
}

function onWire(name: string, headers: readonly string[], body: string): Buffer {
  const lines = [`POST /${name} HTTP/1.1`, 'Host: 127.0.0.1']
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  lines.push(`Content-Length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

/** The bytes of one signed request, as a dendrite sends it. */
export function signedRequest(of: Signing): Buffer {
  const nonce = nextNonce()
  const { uuid, receiver } = of
  const sender = of.sender.address
  const { bodyHash } = prepared
  const message = legacyMessage({ nonce, sender, receiver, uuid, bodyHash })
  const bytes = of.sender.sign(Buffer.from(of.forged === true ? `${message}x` : message))
  const signature = `0x${Buffer.from(bytes).toString('hex')}`
  const { headers, body } = legacyRequest(prepared, {
    timeoutS: 12,
    sender: { ip: '127.0.0.1', version: 10_005_000, nonce, uuid, hotkey: sender, signature },
    receiver: { ip: '127.0.0.1', port: 8091, hotkey: receiver },
  })
  return onWire('VideoUpscalingProtocol', headers, body)
}

/** The same body without a word of who sends it. */
export function unsignedRequest(): Buffer {
  return onWire(
    'VideoUpscalingProtocol',
    ['content-type', 'application/json'],
    `{${prepared.members}}`,
  )
}

export const uuidOf = (n: number): string =>
  `00000000-0000-11f0-8000-${n.toString(16).padStart(12, '0')}`
