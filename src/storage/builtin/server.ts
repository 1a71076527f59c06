import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../lib/clock.js'
import { describeError, isAbort } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import { StorageError } from '../errors.js'
import { checkKey, contentTypeOf } from '../keys.js'
import type { FileFacts, ObjectFiles } from './files.js'
import { DEFAULT_RATE_LIMIT, type RateLimit, RateLimiter } from './limiter.js'
import { parseRange } from './range.js'
import type { UrlSigner } from './signer.js'

/** Path prefix of objects on the wire. */
export const OBJECT_PATH = '/objects/'

export interface ObjectServerOptions {
  readonly maxPutBytes: number
  readonly rateLimit?: RateLimit
}

export interface ObjectServerModules {
  readonly files: ObjectFiles
  readonly signer: UrlSigner
  readonly clock: Clock
  readonly log: Logger
}

class Refusal extends Error {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.headers = headers
  }
}

/**
 * Serves objects under signed URLs: GET and HEAD with ranges, PUT with a size cap. Anything unsigned,
 * altered, expired or of another method is 403, in constant text; only a genuine URL learns of 404.
 */
export class ObjectServer {
  readonly #options: ObjectServerOptions
  readonly #modules: ObjectServerModules
  readonly #limiter: RateLimiter
  readonly #server: Server

  constructor(options: ObjectServerOptions, modules: ObjectServerModules) {
    this.#options = options
    this.#modules = modules
    this.#limiter = new RateLimiter(options.rateLimit ?? DEFAULT_RATE_LIMIT)
    this.#server = createServer(
      // A result is a few hundred MB at most: slow heads and bodies end long before that matters.
      {
        headersTimeout: 10_000,
        requestTimeout: 600_000,
        keepAliveTimeout: 10_000,
        maxHeaderSize: 8_192,
      },
      (request, response) => void this.handle(request, response),
    )
    this.#server.maxConnections = 1_024
  }

  /** Listens; returns the port. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  /** Answers one request; usable from any node:http server. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, log } = this.#modules
    const address = request.socket.remoteAddress ?? 'unknown'
    const waitS = this.#limiter.enter(address, clock.now())
    try {
      response.setHeader('x-content-type-options', 'nosniff')
      response.setHeader('cache-control', 'private, no-store')
      if (waitS !== undefined) {
        throw new Refusal(429, 'too many requests', { 'retry-after': String(waitS) })
      }
      await this.#serve(request, response)
    } catch (error) {
      const refusal = asRefusal(error)
      if (refusal === undefined) {
        if (!isAbort(error)) {
          log.debug(
            { event: 'object.transfer-broken', reason: describeError(error) },
            'transfer broken',
          )
        }
        response.destroy()
        return
      }
      if (response.headersSent) {
        response.destroy()
        return
      }
      // The unread rest of a refused body must not hold the connection.
      response.writeHead(refusal.status, { ...refusal.headers, connection: 'close' })
      response.end(`${JSON.stringify({ message: refusal.message })}\n`)
    } finally {
      if (waitS === undefined) this.#limiter.leave(address)
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { signer, clock, files } = this.#modules
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const text = request.url ?? '/'
    const url = URL.canParse(text, 'http://store') ? new URL(text, 'http://store') : undefined
    if (url === undefined || !url.pathname.startsWith(OBJECT_PATH))
      throw new Refusal(404, 'not found')
    const key = url.pathname.slice(OBJECT_PATH.length)
    const known = method === 'GET' || method === 'PUT'
    if (!known || !signer.verify(method, key, url.searchParams, clock.now())) {
      throw new Refusal(403, 'the URL is not signed for this, or its time is over')
    }
    checkKey(key)
    if (method === 'PUT') return this.#take(key, request, response)
    const facts = await files.facts(key)
    await this.#send(key, facts, request, response)
  }

  async #send(
    key: string,
    facts: FileFacts,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const etag = `"${facts.sizeBytes.toString(16)}-${Math.round(facts.modifiedMs).toString(16)}"`
    const conditional = request.headers['if-range']
    const wanted =
      conditional === undefined || conditional === etag ? request.headers.range : undefined
    const range = parseRange(wanted, facts.sizeBytes)
    if (range === 'unsatisfiable') {
      throw new Refusal(416, 'no such range', { 'content-range': `bytes */${facts.sizeBytes}` })
    }
    const headers = {
      'content-type': contentTypeOf(key),
      'content-length': range === undefined ? facts.sizeBytes : range.end - range.start + 1,
      'accept-ranges': 'bytes',
      'last-modified': new Date(facts.modifiedMs).toUTCString(),
      etag,
    }
    if (range === undefined) response.writeHead(200, headers)
    else {
      const contentRange = `bytes ${range.start}-${range.end}/${facts.sizeBytes}`
      response.writeHead(206, { ...headers, 'content-range': contentRange })
    }
    if (request.method === 'HEAD') response.end()
    else await pipeline(this.#modules.files.read(key, range), response)
  }

  async #take(key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { files } = this.#modules
    const limit = this.#options.maxPutBytes
    const tooLarge = () => new Refusal(413, `an object may have ${limit} bytes`)
    if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge()
    const path = files.incomingPath()
    let received = 0
    const cap = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length
        if (received > limit) done(tooLarge())
        else done(null, chunk)
      },
    })
    try {
      await pipeline(request, cap, createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
        end: true,
      })
      await files.commit(key, path)
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    response.writeHead(200, { 'content-length': 0 })
    response.end()
  }
}

function asRefusal(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error
  if (!(error instanceof StorageError)) return undefined
  if (error.code === 'STORAGE_NOT_FOUND') return new Refusal(404, 'no such object')
  if (error.code === 'STORAGE_BAD_KEY') return new Refusal(400, 'not an object key')
  return undefined
}
