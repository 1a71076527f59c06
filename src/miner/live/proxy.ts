import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Clock } from '../../lib/clock.js'
import { describeError } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import type { JobQueue, LiveEvent, LiveFeed, LiveState } from '../../queue/index.js'
import { resultUrls } from '../tasks.js'
import type { LiveCredentials } from './credential.js'
import { comfyFrame } from './frames.js'

export interface LiveProxyModules {
  readonly feed: LiveFeed
  readonly queue: Pick<JobQueue, 'view'>
  readonly credentials: LiveCredentials
  readonly clock: Clock
  readonly log: Logger
}

/** Viewers in all, and of one job. */
const MAX_VIEWERS = 256
const MAX_VIEWERS_PER_JOB = 8
/** A viewer that reads slower than this much behind gets no previews, in bytes. */
const SLOW_BYTES = 1_000_000
const PATH = /^\/(?<job>[0-9a-f]{64})\/(?<credential>[A-Za-z0-9_-]{1,256})$/
const ENDED = new Set(['completed', 'failed', 'cancelled'])

/**
 * Shows how jobs go to whoever has a credential of theirs: a socket with ComfyUI's messages on one
 * port, the newest preview or the result over HTTP on the next. ComfyUI itself is never reached
 * through it.
 */
export class LiveProxy {
  readonly #modules: LiveProxyModules
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: 1_024,
    perMessageDeflate: false,
  })
  readonly #viewers = new Map<string, number>()
  readonly #servers: readonly [socket: Server, view: Server]

  constructor(modules: LiveProxyModules) {
    this.#modules = modules
    const options = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000 }
    const socket = createServer(options, (_request, response) => end(response, 426))
    socket.on('upgrade', (request, stream, head) => {
      this.#upgrade(request, stream, head).catch((error: unknown) => this.#failed(error, stream))
    })
    const view = createServer(options, (request, response) => {
      this.#view(request, response).catch((error: unknown) => {
        this.#failed(error)
        end(response, 500)
      })
    })
    for (const server of [socket, view]) server.maxConnections = 2 * MAX_VIEWERS
    this.#servers = [socket, view]
  }

  /** Listens for sockets on `port` and for HTTP on the one above. Rejects when either is taken. */
  async listen(host: string, port: number): Promise<void> {
    try {
      await listening(this.#servers[0], host, port)
      await listening(this.#servers[1], host, port + 1)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate()
    this.#sockets.close()
    for (const server of this.#servers) {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    }
  }

  #authorised(path: string): string | undefined {
    const { job, credential } = PATH.exec(path.split('?')[0] ?? '')?.groups ?? {}
    if (job === undefined || credential === undefined) return undefined
    const { credentials, clock } = this.#modules
    return credentials.verify(job, credential, clock.now()) ? job : undefined
  }

  async #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    stream.on('error', () => stream.destroy())
    const job = this.#authorised(request.url ?? '')
    if (job === undefined) return hangUp(stream, 403)
    const full =
      this.#sockets.clients.size >= MAX_VIEWERS ||
      (this.#viewers.get(job) ?? 0) >= MAX_VIEWERS_PER_JOB
    if (full) return hangUp(stream, 503)
    this.#sockets.handleUpgrade(request, stream, head, (viewer) => {
      this.#viewers.set(job, (this.#viewers.get(job) ?? 0) + 1)
      viewer.on('error', () => viewer.terminate())
      viewer.once('close', () => {
        const left = (this.#viewers.get(job) ?? 1) - 1
        if (left > 0) this.#viewers.set(job, left)
        else this.#viewers.delete(job)
      })
      this.#show(job, viewer).catch((error: unknown) => {
        this.#failed(error)
        viewer.close(1011, 'the state of the task cannot be read')
      })
    })
  }

  /** What is known first, then what happens. */
  async #show(job: string, viewer: WebSocket): Promise<void> {
    const { feed, queue } = this.#modules
    let promptId = ''
    const send = (event: LiveEvent) => {
      if (event.kind === 'submitted') promptId = event.promptId
      if (event.kind === 'preview' && viewer.bufferedAmount > SLOW_BYTES) return
      const frame = comfyFrame(event, promptId)
      if (frame !== undefined && viewer.readyState === viewer.OPEN) viewer.send(frame)
      if (event.kind === 'ended') viewer.close(1000, event.ok ? 'completed' : 'failed')
    }
    const waiting: LiveEvent[] = []
    let forward: (event: LiveEvent) => void = (event) => waiting.push(event)
    const stop = await feed.watch(job, (event) => forward(event))
    viewer.once('close', stop)
    if (viewer.readyState !== viewer.OPEN) return stop()
    const state = await feed.state(job)
    for (const event of known(state)) send(event)
    const view = await queue.view(job)
    if (view === undefined || ENDED.has(view.state))
      send({ kind: 'ended', ok: view?.state === 'completed' })
    for (const event of waiting) send(event)
    forward = send
  }

  async #view(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? ''
    const job = url.startsWith('/view/') ? this.#authorised(url.slice('/view'.length)) : undefined
    if (job === undefined) return end(response, 403)
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405)
    const { feed, queue, clock } = this.#modules
    const view = await queue.view(job)
    const [result] = resultUrls(view?.result, clock.now())
    if (result !== undefined && result !== '') {
      response.setHeader('location', result)
      return end(response, 302)
    }
    const { preview } = await feed.state(job)
    if (preview === undefined) return end(response, 404)
    const image = Buffer.from(preview.image, 'base64')
    response.writeHead(200, {
      'content-type': preview.mime === 'image/png' ? 'image/png' : 'image/jpeg',
      'content-length': image.length,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : image)
  }

  #failed(error: unknown, stream?: Duplex): void {
    const reason = describeError(error)
    this.#modules.log.warn({ event: 'live.view-failed', reason }, 'a live view could not be shown')
    stream?.destroy()
  }
}

const known = ({ submitted, progress, preview }: LiveState): LiveEvent[] =>
  [submitted, progress, preview].filter((event) => event !== undefined)

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function end(response: ServerResponse, status: number): void {
  if (response.headersSent) response.destroy()
  else response.writeHead(status, { 'cache-control': 'no-store' }).end()
}

function hangUp(stream: Duplex, status: number): void {
  stream.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\n\r\n`)
}
