import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { Agent, type Dispatcher } from 'undici'
import type { HeaderBag } from '../protocol/index.js'
import { TransportFailure } from './failure.js'

export interface WireRequest {
  /** `http://ip:port`. */
  readonly origin: string
  readonly path: string
  /** Names and values, flat. */
  readonly headers: string[]
  readonly body: string
  readonly signal: AbortSignal
}

export interface ReplyHead {
  readonly status: number
  readonly headers: HeaderBag
  readonly body: Dispatcher.ResponseData['body']
}

/** Python axons drop idle connections after 5 s; ours must go first, or a request meets a closing socket. */
const KEEP_ALIVE_MS = 4000
/**
 * Unread bytes of a reply at which undici pauses its parser: more than any reply may have. Up to 7.30
 * a peer that closes its connection while the parser is paused ends the process (nodejs/undici#5360).
 */
const NEVER_PAUSE = 32 * 1024 * 1024
/** Total size of a reply's head. aiohttp takes many long lines, but no line beyond the next limit. */
const MAX_HEAD_BYTES = 64 * 1024
const MAX_HEADER_LINE_BYTES = 8190
const MAX_REDIRECTS = 10

/** HTTP to neurons: pooled connections, each call under its own signal. */
export class Transport {
  readonly #agent: Agent

  constructor(connectionsPerPeer: number) {
    this.#agent = new Agent({
      connections: connectionsPerPeer,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEAD_BYTES,
      // The call's own signal is the only deadline.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: 0 },
    })
  }

  /** Sends, following redirects of the same peer, and returns once the head has arrived. */
  async send(request: WireRequest): Promise<ReplyHead> {
    let path = request.path
    for (let hops = 0; ; hops += 1) {
      const reply = await this.#agent.request({
        origin: request.origin,
        path,
        method: 'POST',
        headers: request.headers,
        body: request.body,
        signal: request.signal,
        highWaterMark: NEVER_PAUSE,
      })
      const head = { status: reply.statusCode, headers: reply.headers, body: reply.body }
      if (reply.statusCode !== 307 && reply.statusCode !== 308) return checkLines(head)
      reply.body.on('error', () => {}).destroy()
      path = redirectPath(request.origin, path, reply.headers['location'])
      if (hops >= MAX_REDIRECTS) throw unparsable('too many redirects')
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }
}

const unparsable = (problem: string) =>
  new TransportFailure({
    kind: 'bad-reply',
    status: 422,
    message: `Failed to parse response: ${problem}`,
  })

// A miner must not send a validator's signed request, or its connection, to somebody else.
function redirectPath(origin: string, path: string, location: unknown): string {
  const base = `${origin}${path}`
  if (typeof location !== 'string' || !URL.canParse(location, base)) {
    throw unparsable('redirect without a location')
  }
  const url = new URL(location, base)
  if (url.origin !== new URL(origin).origin) throw unparsable('redirect to another host')
  return `${url.pathname}${url.search}`
}

function checkLines(head: ReplyHead): ReplyHead {
  for (const [name, value] of Object.entries(head.headers)) {
    for (const line of typeof value === 'string' ? [value] : (value ?? [])) {
      if (name.length + line.length + 2 > MAX_HEADER_LINE_BYTES) {
        head.body.on('error', () => {}).destroy()
        throw new TransportFailure({
          kind: 'bad-reply',
          status: 400,
          message: `Client response error: 400, header ${name.slice(0, 64)} is longer than ${MAX_HEADER_LINE_BYTES} bytes`,
        })
      }
    }
  }
  return head
}

/** The body as text, decompressed, at most `maxBytes`. */
export async function readText(head: ReplyHead, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of head.body as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > maxBytes) {
      head.body.destroy()
      throw tooLarge(maxBytes)
    }
    chunks.push(chunk)
  }
  const raw = await decompress(Buffer.concat(chunks), head.headers['content-encoding'], maxBytes)
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
  } catch {
    throw unparsable('the body is not UTF-8')
  }
}

async function decompress(raw: Uint8Array, encoding: unknown, maxBytes: number) {
  const inflater = { gzip: gunzip, 'x-gzip': gunzip, deflate: inflate }[String(encoding)]
  if (inflater === undefined) return raw
  try {
    return await promisify<Uint8Array, { maxOutputLength: number }, Uint8Array>(inflater)(raw, {
      maxOutputLength: maxBytes,
    })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    throw code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(maxBytes) : unparsable('bad compression')
  }
}

const tooLarge = (maxBytes: number) =>
  new TransportFailure({
    kind: 'too-large',
    status: 422,
    message: `Failed to parse response: larger than ${maxBytes} bytes`,
  })
