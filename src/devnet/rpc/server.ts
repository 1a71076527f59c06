import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../../lib/clock.js'
import { describeError } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import { DevnetError } from '../errors.js'
import { InvalidTransaction } from '../extrinsic.js'
import type { FaultState } from '../faults.js'
import { Connection } from './connection.js'
import {
  failure,
  INTERNAL,
  INVALID_PARAMS,
  METHOD_NOT_FOUND,
  parseMessage,
  RpcError,
  type RpcRequest,
  result,
  SERVER_ERROR,
} from './json-rpc.js'
import type { RpcMethod } from './methods.js'

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024

export interface RpcServerOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly methods: Readonly<Record<string, RpcMethod>>
  readonly faults: FaultState
  readonly clock: Clock
  readonly log: Logger
}

/** The node's socket: JSON-RPC 2.0 over WebSocket, with the faults that belong to a connection. */
export class RpcServer {
  readonly #options: RpcServerOptions
  readonly #http: Server
  readonly #sockets: WebSocketServer
  readonly #methods: Readonly<Record<string, RpcMethod>>

  constructor(options: RpcServerOptions) {
    this.#options = options
    const names = [...Object.keys(options.methods), 'rpc_methods'].sort()
    this.#methods = { ...options.methods, rpc_methods: () => ({ methods: names }) }
    this.#http = createServer((_, response) => {
      response.writeHead(426, { 'content-type': 'text/plain' }).end('connect with a WebSocket\n')
    })
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES })
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
  }

  /** @throws DevnetError DEVNET_ADDRESS_UNUSABLE */
  async listen(): Promise<void> {
    const { host, port } = this.#options
    this.#http.listen(port, host)
    try {
      await once(this.#http, 'listening')
    } catch (cause) {
      throw new DevnetError(
        { code: 'DEVNET_ADDRESS_UNUSABLE', host, port },
        `cannot listen on ${host} port ${port}: ${describeError(cause)}; give another port`,
        { cause },
      )
    }
  }

  /** `ws://host:port`. */
  get url(): string {
    const { address, port } = this.#http.address() as AddressInfo
    return `ws://${address.includes(':') ? `[${address}]` : address}:${port}`
  }

  get connections(): number {
    return this.#sockets.clients.size
  }

  /** Breaks every connection without a closing handshake. */
  dropAll(): void {
    for (const socket of this.#sockets.clients) socket.terminate()
  }

  async close(): Promise<void> {
    this.dropAll()
    this.#sockets.close()
    await new Promise<void>((resolve) => this.#http.close(() => resolve()))
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    const refusal = this.#options.faults.refuseHandshakes
    if (refusal.times > 0) {
      refusal.times -= 1
      socket.end(`HTTP/1.1 ${refusal.status} Refused\r\nconnection: close\r\n\r\n`)
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => this.#serve(client))
  }

  #serve(socket: WebSocket): void {
    const { faults } = this.#options
    const send = (message: object): void => {
      if (!faults.blackholed && socket.readyState === socket.OPEN) {
        socket.send(JSON.stringify(message))
      }
    }
    const connection = new Connection(send)
    socket.on('close', () => connection.close())
    socket.on('error', () => socket.terminate())
    socket.on('message', (raw) => {
      if (faults.blackholed) return
      void this.#answer(String(raw), connection).then((answer) => {
        if (answer !== undefined) send(answer)
      })
    })
  }

  async #answer(text: string, connection: Connection): Promise<object | undefined> {
    const { faults, clock } = this.#options
    if (faults.delayMs > 0) await clock.sleep(faults.delayMs)
    try {
      const { batch, requests } = parseMessage(text)
      const answers = requests.map((request) => this.#call(request, connection))
      return batch ? answers : answers[0]
    } catch (error) {
      return failure(null, toRpcError(error))
    }
  }

  #call(request: RpcRequest, connection: Connection): object {
    const method = Object.hasOwn(this.#methods, request.method)
      ? this.#methods[request.method]
      : undefined
    try {
      if (method === undefined) throw new RpcError(METHOD_NOT_FOUND, 'Method not found')
      return result(request.id, method(request.params, connection))
    } catch (error) {
      const known = toRpcError(error)
      if (known.code === INTERNAL) {
        this.#options.log.error(
          { event: 'devnet-request.failed', method: request.method, error },
          'a request failed inside the node',
        )
      }
      return failure(request.id, known)
    }
  }
}

function toRpcError(error: unknown): RpcError {
  if (error instanceof RpcError) return error
  if (error instanceof InvalidTransaction) {
    return new RpcError(error.code, error.message, error.data)
  }
  if (error instanceof DevnetError) {
    if (error.code === 'DEVNET_BLOCK_UNKNOWN') {
      return new RpcError(SERVER_ERROR, `Client error: UnknownBlock: ${error.message}`)
    }
    return new RpcError(INVALID_PARAMS, `Invalid params: ${error.message}`)
  }
  return new RpcError(INTERNAL, 'Internal error', describeError(error))
}
