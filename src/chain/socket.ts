import WebSocket from 'ws'
import { z } from 'zod'
import type { Clock } from '../lib/clock.js'
import { withResolvers } from '../lib/resources.js'
import { withoutCredentials } from '../lib/secret.js'
import { within } from './deadline.js'
import { ChainError } from './errors.js'

export interface RequestOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** JSON-RPC with subscriptions over one connection that, once lost, stays lost. */
export interface Transport {
  readonly endpoint: string
  /** Whether requests can still be sent. */
  readonly isOpen: boolean
  /** @throws ChainError CHAIN_RPC_FAILED, CHAIN_TIMEOUT, CHAIN_DISCONNECTED */
  request(method: string, params: readonly unknown[], options?: RequestOptions): Promise<unknown>
  /** Like `request`, then calls `onResult` for each notification. Resolves to the subscription's id. */
  subscribe(
    method: string,
    params: readonly unknown[],
    onResult: (result: unknown) => void,
    options?: RequestOptions,
  ): Promise<string>
  unsubscribe(method: string, id: string): Promise<void>
  /** Calls `listener` once, when the connection ends or has ended. */
  onClose(listener: (error: ChainError) => void): void
  close(): void
}

export interface SocketOptions {
  readonly clock: Clock
  readonly connectTimeoutMs: number
  /** Deadline of a request that states none. */
  readonly requestTimeoutMs: number
  readonly signal?: AbortSignal
}

/** A node that sends more than this in one message is not sending chain data. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
/** Notifications kept for a subscription whose id has not arrived yet. */
const MAX_EARLY = 256

const message = z.union([
  z.object({
    id: z.number(),
    result: z.unknown().optional(),
    error: z
      .object({ code: z.number(), message: z.string(), data: z.unknown().optional() })
      .optional(),
  }),
  z.object({
    method: z.string(),
    params: z.object({
      subscription: z.union([z.string(), z.number()]),
      result: z.unknown().optional(),
    }),
  }),
])

/** An RPC error with what the node said, for classifying refusals of extrinsics. */
export class RpcError extends ChainError {
  readonly detail: string

  constructor(method: string, rpcCode: number, text: string, detail: string) {
    super({ code: 'CHAIN_RPC_FAILED', method, rpcCode }, `${method}: ${text} (${rpcCode})`)
    this.detail = detail
  }
}

interface Waiting {
  readonly method: string
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/**
 * A WebSocket to one node. Unlike polkadot's WsProvider it never reconnects: which endpoint comes next
 * is decided in one place (`uplink.ts`), which must therefore hear of every loss.
 */
export class RpcSocket implements Transport {
  readonly endpoint: string
  readonly #socket: WebSocket
  readonly #options: SocketOptions
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Map<string, (result: unknown) => void>()
  readonly #early = new Map<string, unknown[]>()
  readonly #closeListeners: ((error: ChainError) => void)[] = []
  #nextId = 1
  #lost: ChainError | undefined

  private constructor(endpoint: string, socket: WebSocket, options: SocketOptions) {
    this.endpoint = endpoint
    this.#socket = socket
    this.#options = options
    socket.on('message', (data) => this.#receive(String(data)))
    socket.on('close', (code) => this.#lose(disconnected(endpoint, `closed with ${code}`)))
    socket.on('error', (cause) => this.#lose(disconnected(endpoint, 'failed', undefined, cause)))
  }

  /** @throws ChainError CHAIN_DISCONNECTED (with the HTTP status of a refused handshake), CHAIN_TIMEOUT */
  static async connect(endpoint: string, options: SocketOptions): Promise<RpcSocket> {
    const socket = new WebSocket(endpoint, {
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handshakeTimeout: options.connectTimeoutMs,
    })
    const opened = withResolvers<void>()
    socket.on('open', () => opened.resolve())
    socket.on('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 0
      response.resume()
      opened.reject(disconnected(endpoint, `refused with HTTP ${status}`, status))
    })
    socket.on('error', (cause) => opened.reject(disconnected(endpoint, 'failed', undefined, cause)))
    try {
      await within(options.clock, options.connectTimeoutMs, 'connect', options.signal, () => {
        return opened.promise
      })
    } catch (error) {
      socket.terminate()
      throw error
    }
    return new RpcSocket(endpoint, socket, options)
  }

  get isOpen(): boolean {
    return this.#lost === undefined
  }

  async request(
    method: string,
    params: readonly unknown[],
    options: RequestOptions = {},
  ): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#lost
    const id = this.#nextId++
    const { promise, resolve, reject } = withResolvers<unknown>()
    this.#waiting.set(id, { method, resolve, reject })
    try {
      return await within(
        this.#options.clock,
        options.timeoutMs ?? this.#options.requestTimeoutMs,
        method,
        options.signal,
        () => {
          this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
          return promise
        },
      )
    } finally {
      this.#waiting.delete(id)
      promise.catch(() => undefined)
    }
  }

  async subscribe(
    method: string,
    params: readonly unknown[],
    onResult: (result: unknown) => void,
    options: RequestOptions = {},
  ): Promise<string> {
    const id = String(await this.request(method, params, options))
    this.#listeners.set(id, onResult)
    const early = this.#early.get(id) ?? []
    this.#early.delete(id)
    for (const result of early) onResult(result)
    return id
  }

  async unsubscribe(method: string, id: string): Promise<void> {
    this.#listeners.delete(id)
    if (this.isOpen) await this.request(method, [id])
  }

  onClose(listener: (error: ChainError) => void): void {
    if (this.#lost === undefined) this.#closeListeners.push(listener)
    else listener(this.#lost)
  }

  close(): void {
    this.#lose(disconnected(this.endpoint, 'was closed by this process'))
  }

  #receive(text: string): void {
    const parsed = message.safeParse(parseJson(text))
    if (!parsed.success) {
      this.#lose(disconnected(this.endpoint, 'sent something that is not JSON-RPC'))
      return
    }
    if ('method' in parsed.data) {
      const { subscription, result } = parsed.data.params
      this.#notify(String(subscription), result)
      return
    }
    const { id, error, result } = parsed.data
    const waiting = this.#waiting.get(id)
    if (error === undefined) {
      waiting?.resolve(result)
      return
    }
    const detail = typeof error.data === 'string' ? error.data : JSON.stringify(error.data ?? '')
    waiting?.reject(
      new RpcError(waiting.method, error.code, error.message, `${error.message}: ${detail}`),
    )
  }

  #notify(id: string, result: unknown): void {
    const listener = this.#listeners.get(id)
    if (listener !== undefined) {
      listener(result)
      return
    }
    // The first notification may overtake the response that carries the subscription's id.
    const early = this.#early.get(id) ?? []
    if (early.length < MAX_EARLY && this.#early.size < MAX_EARLY) {
      early.push(result)
      this.#early.set(id, early)
    }
  }

  #lose(error: ChainError): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    // A half-open socket never finishes a closing handshake.
    this.#socket.terminate()
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#listeners.clear()
    for (const listener of this.#closeListeners.splice(0)) listener(error)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function disconnected(
  endpoint: string,
  what: string,
  status?: number,
  cause?: unknown,
): ChainError {
  const shown = withoutCredentials(endpoint)
  const reason = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new ChainError(
    { code: 'CHAIN_DISCONNECTED', endpoint: shown, ...(status === undefined ? {} : { status }) },
    `the connection to ${shown} ${what}${reason}`,
    { cause, retryable: true },
  )
}
