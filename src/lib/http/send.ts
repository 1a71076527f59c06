import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'

export interface SendOptions {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Readable | Uint8Array | string
  readonly lookup: LookupFunction
  readonly maxHeaderBytes: number
  readonly signal: AbortSignal
}

/**
 * One request on a connection of its own; resolves with the response once its head has arrived.
 *
 * Not undici: up to 7.30 its parser asserts when a server closes a connection whose body is read more
 * slowly than it comes (nodejs/undici#5360). The assertion is thrown from a socket event, where
 * nothing can catch it, so any peer could end the process. The fix is in 8, which needs Node 22.
 */
export function send(url: URL, options: SendOptions): Promise<IncomingMessage> {
  const { method, headers, body, lookup, maxHeaderBytes, signal } = options
  const start = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const request = start(url, {
      method,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'subreel', ...headers },
      agent: false,
      lookup,
      maxHeaderSize: maxHeaderBytes,
      signal,
    })
    // After the head, failures reach the reader through the response; this keeps them from being unhandled.
    request.on('error', reject)
    request.on('response', (response) => {
      response.once('close', () => request.destroy())
      resolve(response)
    })
    // An upgrade detaches the socket: without an end here not even the deadline would be heard.
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      reject(new Error('the server switched protocols'))
    })
    if (body instanceof Readable) {
      body.on('error', (error) => request.destroy(error))
      body.pipe(request)
    } else {
      request.end(body)
    }
  })
}
