import {
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Rng } from '#src/lib/rng.js'

export const FAULTS = ['500', '503', 'slow-down', 'reset', 'cut', 'lost-answer'] as const

/**
 * A proxy before an S3 server that lets a share of requests fail: with a status, a broken connection,
 * an answer cut short, or an answer that is lost although the server did what was asked.
 */
export class FaultyProxy {
  /** Share of requests that fail, 0–1. */
  rate = 0
  faults = 0
  requests = 0
  /** Which requests are never answered, or only with the head. */
  hangs: (request: IncomingMessage) => 'all' | 'body' | undefined = () => undefined
  /** Which requests arrive with other bytes than were sent. */
  spoils: (request: IncomingMessage) => boolean = () => false
  readonly #server: Server
  readonly #target: URL
  readonly #rng: Rng

  private constructor(target: string, rng: Rng) {
    this.#target = new URL(target)
    this.#rng = rng
    this.#server = createServer((incoming, response) => this.#handle(incoming, response))
  }

  static async start(target: string, rng: Rng): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target, rng)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get endpoint(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return `http://127.0.0.1:${address.port}`
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #handle(incoming: IncomingMessage, response: ServerResponse): void {
    this.requests += 1
    const fault = this.#rng.float() < this.rate ? FAULTS[this.#rng.int(FAULTS.length)] : undefined
    if (fault !== undefined) this.faults += 1
    const hang = this.hangs(incoming)
    if (hang === 'all') {
      incoming.resume()
      return
    }
    if (fault === 'reset') {
      incoming.socket.destroy()
      return
    }
    if (fault === '500' || fault === '503' || fault === 'slow-down') {
      incoming.resume()
      const code = fault === 'slow-down' ? 'SlowDown' : 'InternalError'
      response.writeHead(fault === '500' ? 500 : 503, { 'content-type': 'application/xml' })
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)
      return
    }
    // The signature covers the host, so it must be the one that the client was told.
    const { hostname, port } = this.#target
    const { method, url, headers } = incoming
    const outgoing = request({ hostname, port, method, path: url, headers }, (answer) => {
      if (fault === 'lost-answer') {
        answer.resume()
        answer.on('end', () => incoming.socket.destroy())
        return
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      if (hang === 'body') {
        response.flushHeaders()
        answer.resume()
        return
      }
      if (fault === 'cut') {
        response.flushHeaders()
        answer.resume()
        setImmediate(() => incoming.socket.destroy())
        return
      }
      answer.pipe(response)
    })
    outgoing.on('error', () => incoming.socket.destroy())
    if (this.spoils(incoming)) incoming.once('data', (chunk: Buffer) => chunk.reverse())
    incoming.pipe(outgoing)
  }
}
