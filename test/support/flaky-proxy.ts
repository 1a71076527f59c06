import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket, connect as tcp } from 'node:net'

/** What the proxy does with connections: pass on, swallow silently, answer 429, or refuse. */
export type ProxyMode = 'pass' | 'blackhole' | 'throttle' | 'refuse'

/** A TCP proxy before a node, so that one node can be several endpoints that fail apart. */
export class FlakyProxy implements AsyncDisposable {
  readonly url: string
  readonly #server: Server
  readonly #open = new Set<Socket>()
  #mode: ProxyMode = 'pass'
  /** Connections accepted so far. */
  accepted = 0

  private constructor(server: Server, target: URL) {
    this.#server = server
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
    server.on('connection', (client) => this.#accept(client, target))
  }

  static async before(url: string): Promise<FlakyProxy> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FlakyProxy(server, new URL(url))
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  /** Applies to open connections too: a blackhole leaves them open, `refuse` and `throttle` end them. */
  set mode(mode: ProxyMode) {
    this.#mode = mode
    if (mode === 'refuse' || mode === 'throttle') this.drop()
  }

  /** Breaks every open connection. */
  drop(): void {
    for (const socket of this.#open) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.drop()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket, target: URL): void {
    this.accepted += 1
    this.#keep(client)
    if (this.#mode === 'refuse') {
      client.destroy()
      return
    }
    if (this.#mode === 'throttle') {
      client.end('HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    const node = tcp(Number(target.port), target.hostname)
    this.#keep(node)
    this.#pipe(client, node)
    this.#pipe(node, client)
  }

  #pipe(from: Socket, to: Socket): void {
    from.on('data', (chunk) => {
      if (this.#mode !== 'blackhole') to.write(chunk)
    })
    from.on('close', () => to.destroy())
  }

  #keep(socket: Socket): void {
    this.#open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#open.delete(socket))
  }
}
