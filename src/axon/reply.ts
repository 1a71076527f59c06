import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireReply } from '../protocol/wire/legacy-reply.js'
import type { StreamReply } from './types.js'

/** Unread body that is worth draining to keep the socket. */
const DRAIN_BYTES = 65_536

/** Sends a whole reply. A request whose body was not read and is long or endless loses its socket. */
export function sendReply(
  request: IncomingMessage,
  response: ServerResponse,
  reply: WireReply,
  hangUp = false,
): void {
  if (response.destroyed || response.headersSent) return
  // As text, the body leaves with the head in one write.
  const { body } = reply
  const headers = [...reply.headers, 'content-length', String(Buffer.byteLength(body))]
  const close = hangUp || (!request.complete && !isShort(request))
  if (close) headers.push('connection', 'close')
  response.writeHead(reply.status, headers)
  // An injected request has no socket of net's; on Node 24 its stand-in lacks destroySoon.
  if (close) response.end(body, () => request.socket.destroySoon?.())
  else response.end(body)
}

function isShort(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return false
  return Number(request.headers['content-length'] ?? 0) <= DRAIN_BYTES
}

/** Writes chunks as they come, at the pace of the caller. A failure midway can only cut the socket. */
export async function sendStream(
  response: ServerResponse,
  head: Omit<WireReply, 'body'>,
  chunks: StreamReply,
): Promise<void> {
  response.writeHead(head.status, head.headers)
  try {
    for await (const chunk of chunks) {
      if (response.destroyed) return
      if (!response.write(chunk)) {
        await Promise.race([once(response, 'drain'), once(response, 'close')])
      }
    }
    response.end()
  } catch (error) {
    response.destroy()
    throw error
  }
}
