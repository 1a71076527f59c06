import { createHash } from 'node:crypto'
import { lookup as systemLookup } from 'node:dns/promises'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { LookupFunction } from 'node:net'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Deadline } from '../clock.js'
import { must, SubnetError } from '../errors.js'
import { literalAddress, parseGuardedUrl, requirePublicAddress, type UrlRules } from './address.js'
import { FetchError } from './errors.js'
import { send } from './send.js'

export interface ResolvedAddress {
  readonly address: string
  readonly family: 4 | 6
}

type Pinned = [ResolvedAddress, ...ResolvedAddress[]]

/** Resolves a host name to all its addresses. */
export type Resolver = (host: string) => Promise<readonly ResolvedAddress[]>

export interface FetcherOptions {
  /** Allow loopback, private and special addresses and all ports (local networks only). Default false. */
  readonly allowPrivate?: boolean
  /** Allow plain http. Default true: many miners serve results without TLS. */
  readonly allowHttp?: boolean
  /** Default 3. */
  readonly maxRedirects?: number
  /** Default: the system's resolver. */
  readonly resolver?: Resolver
  /** How one request is sent; tests pass their own. */
  readonly send?: typeof send
  /** Over this the minimum rate is measured. Default 10 000 ms. */
  readonly rateWindowMs?: number
}

export interface FetchOptions {
  readonly method?: 'GET' | 'HEAD' | 'PUT' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | Uint8Array | string
  /** The whole exchange, redirects and body included. Default 60 000 ms. */
  readonly timeoutMs?: number
  /** The body is cut there. Default 64 MiB. */
  readonly maxBytes?: number
  /** Slower than this over a rate window ends the fetch. Default 1024; 0 turns it off. */
  readonly minBytesPerSecond?: number
  readonly signal?: AbortSignal
}

export interface FetchedResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Where the redirects ended. */
  readonly url: string
  /** The body, under the cap, the deadline and the minimum rate. Consume or destroy it. */
  readonly body: Readable
}

export interface Downloaded {
  readonly sizeBytes: number
  /** Lower-case hex. */
  readonly sha256: string
  readonly contentType: string | undefined
  readonly url: string
}

const MAX_HEADER_BYTES = 32_768
const REDIRECTS = new Set([301, 302, 303, 307, 308])
/** What tells nothing of the caller and may follow a redirect anywhere. */
const HARMLESS = new Set(['accept', 'range'])

/** Addresses of one host that are tried, each for a moment and the last for as long as it takes. */
const MAX_ADDRESSES = 4

/**
 * The client for every URL that a peer or a user gives. The scheme, port and address rules are
 * applied to the URL and to each redirect; a host name is resolved once, every address it has must
 * be public, and the connection goes to a checked address, so a second DNS answer changes nothing.
 * (the lookup hook is not called for address literals: those are checked from the URL.)
 * Nothing is decompressed, proxies of the environment are ignored, each fetch has its own connection.
 * A redirect to another origin carries none of the caller's headers but `accept` and `range`.
 */
export class GuardedFetcher {
  readonly #rules: UrlRules
  readonly #maxRedirects: number
  readonly #resolve: Resolver
  readonly #rateWindowMs: number
  readonly #sendOne: typeof send

  constructor(options: FetcherOptions = {}) {
    this.#rules = {
      http: options.allowHttp ?? true,
      privateAddresses: options.allowPrivate ?? false,
    }
    this.#maxRedirects = options.maxRedirects ?? 3
    this.#resolve = options.resolver ?? resolveWithSystem
    this.#rateWindowMs = options.rateWindowMs ?? 10_000
    this.#sendOne = options.send ?? send
  }

  /**
   * Sends a request and returns the response once its head has arrived, whatever its status.
   * @throws FetchError
   */
  async fetch(target: string, options: FetchOptions = {}): Promise<FetchedResponse> {
    const timeoutMs = options.timeoutMs ?? 60_000
    const within = new Deadline(timeoutMs, options.signal)
    try {
      const { url, response } = await this.#follow(target, options, within.signal, timeoutMs)
      const rules = { ...options, rateWindowMs: this.#rateWindowMs }
      return finish(url, response, rules, within, timeoutMs)
    } catch (error) {
      within[Symbol.dispose]()
      throw error
    }
  }

  /** The response at the end of the redirects. */
  async #follow(target: string, options: FetchOptions, signal: AbortSignal, timeoutMs: number) {
    let url = parseGuardedUrl(target, this.#rules)
    let headers = options.headers ?? {}
    for (let hops = 0; ; hops += 1) {
      const response = await this.#send(url, { ...options, headers }, signal, timeoutMs)
      const location = response.headers['location']
      if (!REDIRECTS.has(response.statusCode ?? 0) || typeof location !== 'string')
        return { url, response }
      response.on('error', () => {}).destroy()
      const repeatable =
        options.method === undefined || options.method === 'GET' || options.method === 'HEAD'
      if (hops >= this.#maxRedirects || !repeatable) {
        throw new FetchError(
          { code: 'FETCH_REDIRECTS', hops: hops + 1 },
          'too many redirects; give the final URL',
        )
      }
      const next = parseGuardedUrl(location, this.#rules, url)
      // A token or cookie is for the origin it was given to, and is not picked up again on the way back.
      if (next.origin !== url.origin) headers = withoutCredentials(headers)
      url = next
    }
  }

  /**
   * Fetches a URL into a new file and hashes it on the way. The file is removed on failure.
   * @throws FetchError, with FETCH_STATUS for anything but 200
   */
  async download(target: string, path: string, options: FetchOptions = {}): Promise<Downloaded> {
    const response = await this.fetch(target, options)
    if (response.status !== 200) {
      response.body.destroy()
      throw new FetchError(
        { code: 'FETCH_STATUS', status: response.status },
        `the server answered ${response.status}`,
        { retryable: response.status >= 500 || response.status === 429 },
      )
    }
    const hash = createHash('sha256')
    let sizeBytes = 0
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk)
        sizeBytes += chunk.length
        done(null, chunk)
      },
    })
    try {
      await pipeline(response.body, meter, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
    return {
      sizeBytes,
      sha256: hash.digest('hex'),
      contentType: response.headers['content-type'],
      url: response.url,
    }
  }

  async #send(url: URL, options: FetchOptions, signal: AbortSignal, timeoutMs: number) {
    const pinned = await this.#pin(url, signal, timeoutMs)
    const [first] = pinned
    const lookup: LookupFunction = (_host, { all }, done) => {
      if (all === true) done(null, pinned)
      else done(null, first.address, first.family)
    }
    try {
      return await this.#sendOne(url, {
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        ...(options.body === undefined ? {} : { body: options.body }),
        lookup,
        maxHeaderBytes: MAX_HEADER_BYTES,
        signal,
      })
    } catch (cause) {
      throw translate(cause, url, signal, options.signal, timeoutMs)
    }
  }

  async #pin(url: URL, signal: AbortSignal, timeoutMs: number): Promise<Pinned> {
    const literal = literalAddress(url.hostname)
    if (literal !== undefined) return [{ address: literal, family: literal.includes(':') ? 6 : 4 }]
    let addresses: readonly ResolvedAddress[]
    try {
      addresses = await abortable(this.#resolve(url.hostname), signal)
    } catch (cause) {
      if (signal.aborted) throw translate(cause, url, signal, undefined, timeoutMs)
      throw new FetchError(
        { code: 'FETCH_DNS_FAILED', host: url.hostname },
        `cannot resolve ${url.hostname}`,
        {
          cause,
          retryable: true,
        },
      )
    }
    if (!this.#rules.privateAddresses)
      for (const { address } of addresses) requirePublicAddress(address)
    const [first, ...others] = addresses.slice(0, MAX_ADDRESSES)
    if (first === undefined) {
      throw new FetchError(
        { code: 'FETCH_DNS_FAILED', host: url.hostname },
        `${url.hostname} has no address`,
      )
    }
    return [first, ...others]
  }
}

function withoutCredentials(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => HARMLESS.has(name.toLowerCase())),
  )
}

async function resolveWithSystem(host: string): Promise<readonly ResolvedAddress[]> {
  const found = await systemLookup(host, { all: true, verbatim: true })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

interface BodyOptions extends FetchOptions {
  readonly rateWindowMs: number
}

function finish(
  url: URL,
  response: IncomingMessage,
  options: BodyOptions,
  within: Deadline,
  timeoutMs: number,
): FetchedResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? must(value.at(-1), name) : value
  }
  const body = Readable.from(guardBody(url, response, headers, options, within.signal, timeoutMs), {
    objectMode: false,
  })
  body.once('close', () => {
    // A body that is destroyed before it is read never starts the generator that would end the response.
    response.on('error', () => {}).destroy()
    within[Symbol.dispose]()
  })
  return { status: response.statusCode ?? 0, headers, url: url.href, body }
}

async function* guardBody(
  url: URL,
  response: IncomingMessage,
  headers: Readonly<Record<string, string>>,
  options: BodyOptions,
  signal: AbortSignal,
  timeoutMs: number,
): AsyncGenerator<Buffer> {
  const limitBytes = options.maxBytes ?? 64 * 1024 * 1024
  const minRate = options.minBytesPerSecond ?? 1024
  const tooLarge = () =>
    new FetchError(
      { code: 'FETCH_TOO_LARGE', limitBytes },
      `the body is larger than ${limitBytes} bytes`,
    )
  const encoding = headers['content-encoding'] ?? 'identity'
  let received = 0
  let slow: FetchError | undefined
  let windowBytes = 0
  const watch =
    minRate === 0
      ? undefined
      : setInterval(() => {
          const rate = (received - windowBytes) / (options.rateWindowMs / 1000)
          windowBytes = received
          if (rate >= minRate || response.readableLength > 0) return
          slow = new FetchError(
            { code: 'FETCH_TOO_SLOW', bytesPerSecond: Math.round(rate) },
            `the body arrives at ${Math.round(rate)} bytes/s; at least ${minRate} are needed`,
          )
          response.destroy(slow)
        }, options.rateWindowMs)
  watch?.unref()
  try {
    if (encoding.toLowerCase() !== 'identity') {
      throw new FetchError(
        { code: 'FETCH_ENCODED', encoding },
        `the body is ${encoding}-encoded; serve it as it is`,
      )
    }
    if (Number(headers['content-length'] ?? 0) > limitBytes) throw tooLarge()
    for await (const chunk of response as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > limitBytes) throw tooLarge()
      yield chunk
    }
  } catch (cause) {
    if (slow !== undefined) throw slow
    const ended = translate(cause, url, signal, options.signal, timeoutMs)
    if (ended instanceof FetchError && ended.code === 'FETCH_CONNECTION_FAILED') {
      throw new FetchError(
        { code: 'FETCH_TRUNCATED', receivedBytes: received },
        `the body ended after ${received} bytes, before its end`,
        { cause, retryable: true },
      )
    }
    throw ended
  } finally {
    clearInterval(watch)
    response.on('error', () => {}).destroy()
  }
}

/** Our own errors and the caller's abort pass; the deadline and broken connections get their code. */
function translate(
  cause: unknown,
  url: URL,
  signal: AbortSignal,
  callerSignal: AbortSignal | undefined,
  timeoutMs: number,
): unknown {
  if (cause instanceof SubnetError) return cause
  if (callerSignal?.aborted === true) return callerSignal.reason
  if (signal.aborted) {
    return new FetchError(
      { code: 'FETCH_TIMEOUT', timeoutMs },
      `no complete answer within ${timeoutMs} ms`,
      {
        cause,
        retryable: true,
      },
    )
  }
  return new FetchError(
    { code: 'FETCH_CONNECTION_FAILED', host: url.host },
    `connection to ${url.host} failed`,
    {
      cause,
      retryable: true,
    },
  )
}
