import { createReadStream } from 'node:fs'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join, relative, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Clock, SystemClock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import { type Logger, silentLog } from '../lib/log.js'
import type { Closable } from '../lib/resources.js'
import { checkPrompt, objectInfo } from './check.js'
import { parseMultipart } from './multipart.js'
import type { Prompt, ServerFiles } from './types.js'
import { type Folders, PromptWorker, type Speed } from './worker.js'

export interface DevComfyOptions {
  /** Default 127.0.0.1: whoever reaches it may run prompts and read what they saved. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Folder of inputs and outputs. */
  readonly folder: string
  /** Names that its loaders list. */
  readonly models?: readonly string[]
  readonly speed?: Partial<Speed>
  /** Memory of its graphics card, in bytes. Default 4 GiB. */
  readonly vramBytes?: number
  /** Wanted as `Authorization: Bearer`, as a proxy before a real server does. */
  readonly token?: string
  readonly clock?: Clock
  readonly log?: Logger
}

interface Reply {
  readonly status: number
  readonly json?: unknown
  readonly text?: string
  readonly file?: string
}

const MAX_BODY_BYTES = 100 * 1024 ** 2
const GIB = 1024 ** 3
const TYPES: Readonly<Record<string, string>> = {
  mp4: 'video/mp4',
  webm: 'video/webm',
  webp: 'image/webp',
  png: 'image/png',
  jpg: 'image/jpeg',
}
const FEATURES = { supports_preview_metadata: true, max_upload_size: MAX_BODY_BYTES }

/**
 * A server that speaks ComfyUI's wire (as of 0.3.64) and renders workflows of built-in nodes with ffmpeg.
 * It shares no code with the client, so that each can be tested against the other.
 */
export class DevComfy implements Closable {
  readonly #options: DevComfyOptions
  readonly #clock: Clock
  readonly #log: Logger
  readonly #folders: Folders
  readonly #worker: PromptWorker
  readonly #http: Server
  readonly #sockets: WebSocketServer
  readonly #clients = new Map<WebSocket, { readonly id: string; withMetadata: boolean }>()

  #requests = 0
  #address = ''

  private constructor(options: DevComfyOptions) {
    this.#options = options
    this.#clock = options.clock ?? new SystemClock()
    this.#log = options.log ?? silentLog()
    this.#folders = {
      inputs: join(options.folder, 'input'),
      outputs: join(options.folder, 'output'),
    }
    this.#worker = new PromptWorker({
      clock: this.#clock,
      folders: this.#folders,
      speed: { nodeMs: 0, stepMs: 0, loadMs: 0, ...options.speed },
      vramBytes: options.vramBytes ?? 4 * GIB,
      send: (type, data, client) => this.#send(type, data, client),
      sendPreview: (image, about, client) => this.#sendPreview(image, about, client),
    })
    this.#http = createServer((request, response) => void this.#serve(request, response))
    this.#sockets = new WebSocketServer({ noServer: true, maxPayload: 1024 ** 2 })
    this.#http.on('upgrade', (request, socket, head) => {
      this.#requests += 1
      if (!this.#http.listening) {
        socket.destroy()
      } else if (this.#isAllowed(request)) {
        this.#sockets.handleUpgrade(request, socket, head, (opened) => this.#open(opened, request))
      } else {
        socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n')
      }
    })
  }

  static async start(options: DevComfyOptions): Promise<DevComfy> {
    const server = new DevComfy(options)
    await mkdir(server.#folders.inputs, { recursive: true })
    await mkdir(server.#folders.outputs, { recursive: true })
    await new Promise<void>((resolve, reject) => {
      server.#http.once('error', reject)
      server.#http.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve)
    })
    const { address, port } = server.#http.address() as AddressInfo
    server.#address = `${address.includes(':') ? `[${address}]` : address}:${port}`
    return server
  }

  /** Host and port. */
  get address(): string {
    return this.#address
  }

  get sockets(): number {
    return this.#clients.size
  }

  /** Requests and sockets since the start. */
  get requests(): number {
    return this.#requests
  }

  /** Prompts that wait or run. */
  get remaining(): number {
    return this.#worker.remaining
  }

  /** Prompts that ended well. */
  get succeeded(): number {
    return this.#worker.succeeded
  }

  /** How often memory was freed on request. */
  get frees(): number {
    return this.#worker.frees
  }

  /** How many models were taken into memory since the start. */
  get loads(): number {
    return this.#worker.loads
  }

  /** Ids of the prompts that ended, first come first. */
  get ended(): readonly string[] {
    return [...this.#worker.history.keys()]
  }

  /** Breaks every socket. */
  dropSockets(): void {
    for (const socket of this.#clients.keys()) socket.terminate()
  }

  /** The next `times` prompts fail for want of memory. */
  failForMemory(times: number): void {
    this.#worker.failForMemory(times)
  }

  /** Loses every prompt and breaks every socket, as a restart does. */
  restart(): void {
    this.#worker.forget()
    this.dropSockets()
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve))
    this.#worker.close()
    this.dropSockets()
    this.#sockets.close()
    this.#http.closeAllConnections()
    await closed
  }

  #isAllowed(request: IncomingMessage): boolean {
    const { token } = this.#options
    return token === undefined || request.headers.authorization === `Bearer ${token}`
  }

  #open(socket: WebSocket, request: IncomingMessage): void {
    const query = new URL(request.url ?? '', 'http://localhost').searchParams
    const id = query.get('clientId') ?? crypto.randomUUID()
    const client = { id, withMetadata: false }
    this.#clients.set(socket, client)
    socket.on('close', () => this.#clients.delete(socket))
    socket.on('error', () => socket.terminate())
    socket.on('message', (data, isBinary) => {
      if (isBinary || !data.toString().includes('"feature_flags"')) return
      client.withMetadata = data.toString().includes('"supports_preview_metadata":true')
      socket.send(JSON.stringify({ type: 'feature_flags', data: FEATURES }))
    })
    const status = { exec_info: { queue_remaining: this.#worker.remaining } }
    socket.send(JSON.stringify({ type: 'status', data: { status, sid: id } }))
    const { running, node } = this.#worker
    if (running?.[3]['client_id'] === id && node !== undefined) {
      socket.send(JSON.stringify({ type: 'executing', data: { node } }))
    }
  }

  #send(type: string, data: Readonly<Record<string, unknown>>, clientId?: string): void {
    const text = JSON.stringify({ type, data })
    for (const [socket, { id }] of this.#clients) {
      if (clientId === undefined || id === clientId) socket.send(text)
    }
  }

  #sendPreview(image: Buffer, about: Readonly<Record<string, unknown>>, clientId: string): void {
    for (const [socket, { id, withMetadata }] of this.#clients) {
      if (id !== clientId) continue
      const metadata = Buffer.from(JSON.stringify(about))
      const head = Buffer.alloc(8)
      head.writeUInt32BE(withMetadata ? 4 : 1, 0)
      head.writeUInt32BE(withMetadata ? metadata.length : 1, 4)
      socket.send(Buffer.concat(withMetadata ? [head, metadata, image] : [head, image]))
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#requests += 1
    try {
      const reply = this.#isAllowed(request) ? await this.#route(request) : { status: 401 }
      await this.#answer(reply, response)
    } catch (error) {
      this.#log.debug({ event: 'devcomfy-request.failed', err: error }, describeError(error))
      if (response.headersSent) response.destroy()
      else response.writeHead(500).end('500 Internal Server Error\n\nServer got itself in trouble')
    }
  }

  async #answer(reply: Reply, response: ServerResponse): Promise<void> {
    if (reply.file !== undefined) {
      const { size } = await stat(reply.file)
      response.writeHead(200, {
        'content-type': TYPES[reply.file.split('.').at(-1) ?? ''] ?? 'application/octet-stream',
        'content-length': size,
        'content-disposition': `filename="${basename(reply.file)}"`,
      })
      await pipeline(createReadStream(reply.file), response)
    } else if (reply.json === undefined) {
      response.writeHead(reply.status).end(reply.text ?? '')
    } else {
      response.writeHead(reply.status, { 'content-type': 'application/json; charset=utf-8' })
      response.end(JSON.stringify(reply.json))
    }
  }

  async #route(request: IncomingMessage): Promise<Reply> {
    const url = new URL(request.url ?? '', 'http://localhost')
    const path = url.pathname.replace(/^\/api\//, '/')
    return request.method === 'POST'
      ? this.#post(path, request)
      : request.method === 'GET'
        ? this.#get(path, url.searchParams)
        : { status: 405 }
  }

  async #get(path: string, query: URLSearchParams): Promise<Reply> {
    const [, call = '', item] = path.split('/').map(decodeURIComponent)
    const json = (value: unknown): Reply => ({ status: 200, json: value })
    const only = (all: Readonly<Record<string, unknown>>) =>
      json(item === undefined ? all : Object.hasOwn(all, item) ? { [item]: all[item] } : {})
    const worker = this.#worker
    switch (call) {
      case 'prompt':
        return json({ exec_info: { queue_remaining: worker.remaining } })
      case 'queue':
        return json({
          queue_running: worker.running === undefined ? [] : [worker.running],
          queue_pending: worker.pending,
        })
      case 'history':
        return only(Object.fromEntries(worker.history))
      case 'object_info':
        return only(objectInfo(await this.#files()))
      case 'features':
        return json(FEATURES)
      case 'models':
        return json(item === undefined ? ['diffusion_models'] : (this.#options.models ?? []))
      case 'embeddings':
        return json([])
      case 'system_stats':
        return json(this.#stats())
      case 'view':
        return this.#view(query)
      default:
        return { status: 404 }
    }
  }

  async #post(path: string, request: IncomingMessage): Promise<Reply> {
    const body = await readBody(request)
    if (path === '/upload/image') return this.#upload(request.headers['content-type'] ?? '', body)
    const json = JSON.parse(body.toString('utf8') || '{}') as Record<string, unknown>
    const worker = this.#worker
    switch (path) {
      case '/prompt':
        return this.#prompt(json)
      case '/queue':
        if (json['clear'] === true) worker.clear()
        if (Array.isArray(json['delete'])) worker.delete(json['delete'].map(String))
        return { status: 200 }
      case '/history':
        if (json['clear'] === true) worker.history.clear()
        for (const id of Array.isArray(json['delete']) ? json['delete'] : []) {
          worker.history.delete(String(id))
        }
        return { status: 200 }
      case '/interrupt':
        if (!json['prompt_id'] || worker.running?.[1] === json['prompt_id']) worker.interrupt()
        return { status: 200 }
      case '/free':
        if (json['unload_models'] === true || json['free_memory'] === true) worker.free()
        return { status: 200 }
      default:
        return { status: 404 }
    }
  }

  async #prompt(json: Readonly<Record<string, unknown>>): Promise<Reply> {
    if (json['prompt'] === undefined) {
      const message = 'No prompt provided'
      const error = { type: 'no_prompt', message, details: message, extra_info: {} }
      return { status: 400, json: { error, node_errors: {} } }
    }
    const prompt = json['prompt'] as Prompt
    const checked = checkPrompt(prompt, await this.#files())
    if (!checked.ok) {
      return { status: 400, json: { error: checked.error, node_errors: checked.errors } }
    }
    const client = json['client_id']
    const extra = {
      ...(json['extra_data'] as object | undefined),
      ...(client === undefined ? {} : { client_id: client }),
    }
    const id = typeof json['prompt_id'] === 'string' ? json['prompt_id'] : undefined
    const [number, promptId] = this.#worker.put(prompt, id, extra, checked.outputs)
    return { status: 200, json: { prompt_id: promptId, number, node_errors: checked.errors } }
  }

  async #files(): Promise<ServerFiles> {
    const { inputs } = this.#folders
    const entries = await readdir(inputs, { recursive: true, withFileTypes: true })
    const names = entries.filter((entry) => entry.isFile())
    return {
      inputs: names.map((entry) => relative(inputs, join(entry.parentPath, entry.name))),
      models: this.#options.models ?? [],
    }
  }

  #stats(): unknown {
    const memory = process.memoryUsage()
    const total = this.#options.vramBytes ?? 4 * GIB
    const free = this.#worker.vramFree
    return {
      system: {
        os: 'posix',
        ram_total: memory.heapTotal,
        ram_free: memory.heapTotal - memory.heapUsed,
        comfyui_version: '0.3.64+devcomfy',
        argv: ['devcomfy'],
      },
      devices: [
        {
          name: 'cpu',
          type: 'cpu',
          index: null,
          vram_total: total,
          vram_free: free,
          torch_vram_total: total,
          torch_vram_free: free,
        },
      ],
    }
  }

  async #view(query: URLSearchParams): Promise<Reply> {
    const filename = query.get('filename') ?? ''
    if (filename === '') return { status: 404 }
    if (filename.startsWith('/') || filename.includes('..')) return { status: 400 }
    const type = query.get('type') ?? 'output'
    if (type !== 'output' && type !== 'input') return { status: type === 'temp' ? 404 : 400 }
    const root = type === 'input' ? this.#folders.inputs : this.#folders.outputs
    const folder = resolve(root, query.get('subfolder') ?? '')
    if (!isInside(root, folder)) return { status: 403 }
    const file = join(folder, basename(filename))
    const found = await stat(file).catch(() => undefined)
    return found?.isFile() === true ? { status: 200, file } : { status: 404 }
  }

  async #upload(contentType: string, body: Buffer): Promise<Reply> {
    const parts = parseMultipart(contentType, body)
    const field = (name: string) => parts.find((part) => part.name === name)
    const image = field('image')
    if (image?.filename === undefined || image.filename === '') return { status: 400 }
    const subfolder = field('subfolder')?.bytes.toString('utf8') ?? ''
    const root = this.#folders.inputs
    let path = resolve(root, subfolder, image.filename)
    if (!isInside(root, path) || path === root) return { status: 400 }
    // As the real one: the subfolder is made, folders in the file name are not.
    await mkdir(resolve(root, subfolder), { recursive: true })
    const overwrite = field('overwrite')?.bytes.toString('utf8') === 'true'
    for (let i = 1; !overwrite && (await stat(path).catch(() => undefined)) !== undefined; i += 1) {
      path = resolve(root, subfolder, image.filename.replace(/(\.[^.]*)?$/, ` (${i})$1`))
    }
    await writeFile(path, image.bytes)
    return { status: 200, json: { name: basename(path), subfolder, type: 'input' } }
  }
}

function isInside(root: string, path: string): boolean {
  return !relative(root, path).startsWith('..')
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new Error('the body is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
