import WebSocket from 'ws'
import type { Clock } from '../../lib/clock.js'
import { isAbort } from '../../lib/errors.js'
import { ComfyError } from './errors.js'
import { type ComfyMessage, type PreviewFrame, parseMessage, parsePreview } from './messages.js'
import type { ComfyServer } from './server.js'

export interface ComfySocketListener {
  message(message: ComfyMessage): void
  preview(preview: PreviewFrame): void
  /** The socket went away; what the server says until it is back is not repeated. */
  dropped(): void
}

/** A preview of a large picture; more than that is no ComfyUI. */
const MAX_FRAME_BYTES = 32 * 1024 ** 2
const HANDSHAKE_MS = 10_000
const PING_EVERY_MS = 10_000
const SILENT_MS = 30_000

/** The socket to one server under one client id. It is opened when wanted and not kept up by itself. */
export class ComfySocket {
  readonly #server: ComfyServer
  readonly #clientId: string
  readonly #listener: ComfySocketListener
  readonly #clock: Clock
  #opening: Promise<void> | undefined
  #socket: WebSocket | undefined
  #drops = 0

  constructor(
    server: ComfyServer,
    options: { readonly clientId: string; readonly clock: Clock },
    listener: ComfySocketListener,
  ) {
    this.#server = server
    this.#clientId = options.clientId
    this.#clock = options.clock
    this.#listener = listener
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  /** How often the socket went away. */
  get drops(): number {
    return this.#drops
  }

  /**
   * Resolves when the socket is open.
   * @throws ComfyError COMFY_UNREACHABLE, COMFY_UNAUTHORIZED, COMFY_STATUS where something answers but gives no socket
   */
  open(): Promise<void> {
    if (this.isOpen) return Promise.resolve()
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  close(): void {
    this.#socket?.terminate()
  }

  #connect(): Promise<void> {
    const { name, token } = this.#server
    const url = new URL(`ws?clientId=${this.#clientId}`, this.#server.url)
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(url, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
      handshakeTimeout: HANDSHAKE_MS,
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
    })
    this.#socket = socket
    const where = { server: name, call: '/ws' }
    return new Promise((resolve, reject) => {
      let cause: unknown
      let opened = false
      socket.on('unexpected-response', (request, response) => {
        const status = response.statusCode ?? 0
        request.destroy()
        const refused = status === 401 || status === 403
        reject(
          new ComfyError(
            refused
              ? { code: 'COMFY_UNAUTHORIZED', ...where }
              : { code: 'COMFY_STATUS', ...where, status },
            `${name} answered the request for a socket with status ${status}`,
            { retryable: true },
          ),
        )
      })
      socket.on('error', (error) => {
        cause = error
      })
      socket.on('open', () => {
        opened = true
        // Previews then say which prompt and node they belong to.
        socket.send(
          JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } }),
        )
        void this.#watch(socket)
        resolve()
      })
      socket.on('message', (data, isBinary) => this.#hear(data as Buffer, isBinary))
      socket.on('close', () => {
        if (opened) {
          this.#drops += 1
          this.#listener.dropped()
        }
        reject(
          new ComfyError(
            { code: 'COMFY_UNREACHABLE', ...where },
            `${name} cannot be reached for a socket`,
            { cause, retryable: true },
          ),
        )
      })
    })
  }

  #hear(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      const preview = parsePreview(data)
      if (preview !== undefined) this.#listener.preview(preview)
      return
    }
    const message = parseMessage(data.toString('utf8'))
    if (message !== undefined) this.#listener.message(message)
  }

  /** A server that vanished without a word is found out by its silence. */
  async #watch(socket: WebSocket): Promise<void> {
    const closed = new AbortController()
    let heardAt = this.#clock.monotonic()
    const heard = () => {
      heardAt = this.#clock.monotonic()
    }
    socket.on('pong', heard)
    socket.on('message', heard)
    socket.on('close', () => closed.abort())
    try {
      for (;;) {
        await this.#clock.sleep(PING_EVERY_MS, closed.signal)
        if (this.#clock.monotonic() - heardAt > SILENT_MS) socket.terminate()
        else socket.ping()
      }
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  }
}
