import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { type WebSocket, WebSocketServer } from 'ws'

interface Recorded {
  readonly kind: 'http' | 'ws' | 'wsBinary' | 'ws-open' | 'ws-close'
  readonly method?: string
  readonly path?: string
  readonly status?: number
  readonly request?: unknown
  readonly response?: unknown
  readonly responseText?: string
  readonly responseBytes?: number
  readonly responseHeadHex?: string
  readonly direction?: 'in' | 'out'
  readonly data?: { readonly type: string; readonly data: Record<string, unknown> }
  readonly bytes?: number
  readonly eventType?: number
  readonly headHex?: string
}

export interface ReplayRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** The recorded events of one transcript of a real ComfyUI server. */
export function transcript(name: string): readonly Recorded[] {
  const text = readFileSync(
    new URL(`../../../test/fixtures/comfyui/${name}.json`, import.meta.url),
    'utf8',
  )
  return (JSON.parse(text) as { events: Recorded[] }).events
}

/** Workflows that the transcript hands in, in order; `undefined` where it sent none. */
export function recordedPrompts(name: string): readonly (Record<string, never> | undefined)[] {
  return transcript(name)
    .filter((event) => event.method === 'POST' && event.path === '/prompt')
    .map((event) => (event.request as { prompt?: Record<string, never> } | undefined)?.prompt)
}

/**
 * Plays a transcript back: what the server said, in its order, each part when the client has done what
 * came before it. Prompt ids are exchanged for those that the client chose, as the real server takes them.
 * The history stays empty until the end of a prompt was announced.
 */
export class ComfyReplay implements AsyncDisposable {
  readonly requests: ReplayRequest[] = []
  readonly #events: readonly Recorded[]
  readonly #http: Server
  readonly #sockets: WebSocketServer
  readonly #ids = new Map<string, string>()
  readonly #ended = new Set<string>()
  readonly #open: string[] = []
  #clientIds: (string | null)[] = []
  #cursor = 0
  #connections = 0
  #opensPlayed = 0
  #socket: WebSocket | undefined
  #pumping = false

  private constructor(events: readonly Recorded[]) {
    this.#events = events
    this.#http = createServer((request, response) => void this.#serve(request, response))
    this.#sockets = new WebSocketServer({ server: this.#http, path: '/ws' })
    this.#sockets.on('connection', (socket, request) => {
      this.#clientIds.push(new URL(request.url ?? '', 'http://x').searchParams.get('clientId'))
      this.#connections += 1
      this.#socket = socket
      void this.#pump()
    })
  }

  static async start(name: string): Promise<ComfyReplay> {
    const replay = new ComfyReplay(transcript(name))
    await new Promise<void>((resolve) => replay.#http.listen(0, '127.0.0.1', resolve))
    return replay
  }

  get address(): string {
    return `127.0.0.1:${(this.#http.address() as AddressInfo).port}`
  }

  /** Client ids of the sockets, in order. */
  get clientIds(): readonly (string | null)[] {
    return this.#clientIds
  }

  count(method: string, path: string): number {
    return this.requests.filter((r) => r.method === method && r.path.startsWith(path)).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#sockets.close()
    this.#http.closeAllConnections()
    await new Promise((resolve) => this.#http.close(resolve))
  }

  /** Sends what is next, until something is next that the client has to do. */
  async #pump(): Promise<void> {
    if (this.#pumping) return
    this.#pumping = true
    for (; this.#cursor < this.#events.length; this.#cursor += 1) {
      const event = this.#events[this.#cursor]
      if (event === undefined || this.#waitsForClient(event)) break
      await new Promise((resolve) => setImmediate(resolve))
      this.#play(event)
    }
    this.#pumping = false
  }

  #waitsForClient(event: Recorded): boolean {
    if (event.kind === 'ws-open') return this.#connections <= this.#opensPlayed
    if (event.kind !== 'http' || event.method !== 'POST') return false
    if (event.path === '/prompt') return true
    return ['/queue', '/interrupt'].includes(event.path ?? '') && this.#isOurs(event.request)
  }

  /** A command about a prompt of this transcript: the client has to send it. */
  #isOurs(request: unknown): boolean {
    const text = JSON.stringify(request)
    return [...this.#ids.keys()].some((id) => text.includes(id))
  }

  #play(event: Recorded): void {
    if (event.kind === 'ws-open') this.#opensPlayed += 1
    if (event.kind === 'ws-close') this.#socket?.terminate()
    if (event.kind === 'wsBinary') this.#socket?.send(this.#binary(event))
    if (event.kind !== 'ws' || event.direction !== 'in' || event.data === undefined) return
    const { type, data } = event.data
    const id = data['prompt_id']
    if (type === 'executing' && data['node'] === null && typeof id === 'string') this.#end(id)
    this.#socket?.send(this.#translate(JSON.stringify(event.data)))
  }

  #end(id: string): void {
    this.#ended.add(id)
    const index = this.#open.indexOf(id)
    if (index >= 0) this.#open.splice(index, 1)
  }

  /** The transcripts keep only the size and head of pictures. */
  #binary(event: Recorded): Buffer {
    const frame = Buffer.alloc(event.bytes ?? 0, 0x2a)
    Buffer.from(event.headHex ?? '', 'hex').copy(frame)
    if (event.eventType === 4) {
      const length = frame.readUInt32BE(4)
      const promptId = this.#ids.get(this.#open[0] ?? '')
      const metadata = { node_id: '3', prompt_id: promptId, image_type: 'image/jpeg' }
      frame.write(JSON.stringify(metadata).padEnd(length), 8)
      frame.writeUInt16BE(0xffd8, 8 + length)
    }
    return frame
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request.setEncoding('latin1')) body += chunk
    const { method = '', url: path = '' } = request
    this.requests.push({ method, path, headers: request.headers, body })
    const reply = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
      response.end(value === undefined ? '' : this.#translate(JSON.stringify(value)))
    }
    if (method === 'POST' && path === '/prompt') await this.#prompt(JSON.parse(body), response)
    else if (method === 'POST') reply(200, this.#command(path, body))
    else if (path === '/queue') reply(200, this.#queue())
    else if (path.startsWith('/history/')) reply(200, this.#history(path.slice(9)))
    else this.#recorded(path, response)
  }

  async #prompt(body: { prompt_id?: string }, response: ServerResponse): Promise<void> {
    // What the server says before is still on its way out.
    while (this.#pumping) await new Promise((resolve) => setImmediate(resolve))
    const event = this.#events[this.#cursor]
    if (event?.path !== '/prompt' || event.method !== 'POST') {
      response.writeHead(500).end('the transcript has no prompt here')
      return
    }
    const recordedId = (event.response as { prompt_id?: string } | undefined)?.prompt_id
    if (recordedId !== undefined) {
      this.#ids.set(recordedId, body.prompt_id ?? recordedId)
      this.#open.push(recordedId)
    }
    response.writeHead(event.status ?? 0, { 'content-type': 'application/json' })
    response.end(event.responseText ?? this.#translate(JSON.stringify(event.response)), () => {
      this.#cursor += 1
      void this.#pump()
    })
  }

  #command(path: string, body: string): unknown {
    if (path.startsWith('/upload/')) {
      const event = this.#events.find((e) => e.path === path)
      return event?.response
    }
    const event = this.#events[this.#cursor]
    const wanted = event?.kind === 'http' && event.path === path ? event.request : undefined
    if (wanted === undefined) return undefined
    if (!isDeepStrictEqual(JSON.parse(this.#translate(JSON.stringify(wanted))), JSON.parse(body)))
      return undefined
    const deleted = (wanted as { delete?: string[] }).delete ?? []
    for (const id of deleted) this.#open.splice(this.#open.indexOf(id), 1)
    this.#cursor += 1
    void this.#pump()
    return undefined
  }

  #queue(): unknown {
    const items = this.#open.map((id, index) => [index, id, {}, {}, []])
    return { queue_running: items.slice(0, 1), queue_pending: items.slice(1) }
  }

  #history(id: string): unknown {
    const recordedId = [...this.#ids].find(([, own]) => own === id)?.[0]
    if (recordedId === undefined || !this.#ended.has(recordedId)) return {}
    return this.#events.find((e) => e.path === `/history/${recordedId}`)?.response ?? {}
  }

  #recorded(path: string, response: ServerResponse): void {
    const sameQuery = (recorded: string) => {
      const [a, b] = [new URL(recorded, 'http://x'), new URL(path, 'http://x')]
      a.searchParams.sort()
      b.searchParams.sort()
      const query = (url: URL) => [...url.searchParams].filter(([, value]) => value !== '').join()
      return a.pathname === b.pathname && query(a) === query(b)
    }
    const event = this.#events.find((e) => e.method === 'GET' && sameQuery(e.path ?? ''))
    if (event === undefined) {
      response.writeHead(404).end()
    } else if (event.responseBytes === undefined) {
      response.writeHead(event.status ?? 0, { 'content-type': 'application/json' })
      response.end(
        event.response === undefined ? event.responseText : JSON.stringify(event.response),
      )
    } else {
      const body = Buffer.alloc(event.responseBytes, 0x2a)
      Buffer.from(event.responseHeadHex ?? '', 'hex').copy(body)
      response.writeHead(200, { 'content-length': body.length }).end(body)
    }
  }

  #translate(text: string): string {
    let result = text
    for (const [recorded, own] of this.#ids) result = result.replaceAll(recorded, own)
    return result
  }
}
