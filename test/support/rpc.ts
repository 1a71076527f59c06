import { once } from 'node:events'
import { WebSocket } from 'ws'

interface Message {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
  readonly params?: { readonly subscription: string; readonly result: unknown }
}

/** Bare JSON-RPC over one WebSocket, for looking at a node without a library in between. */
export class RpcClient {
  readonly socket: WebSocket
  readonly #waiting = new Map<number, (message: Message) => void>()
  readonly #pushed = new Map<string, unknown[]>()
  readonly #wakers = new Set<() => void>()
  #next = 0

  constructor(url: string) {
    this.socket = new WebSocket(url)
    this.socket.on('error', () => {})
    this.socket.on('message', (raw) => {
      const message = JSON.parse(String(raw)) as Message
      if (message.params !== undefined) {
        const { subscription, result } = message.params
        this.#pushed.set(subscription, [...(this.#pushed.get(subscription) ?? []), result])
        for (const wake of this.#wakers) wake()
      } else if (message.id !== undefined) {
        this.#waiting.get(message.id)?.(message)
      }
    })
  }

  static async open(url: string): Promise<RpcClient> {
    const client = new RpcClient(url)
    await once(client.socket, 'open')
    return client
  }

  /** The whole answer: a result or an error. */
  ask(method: string, ...params: unknown[]): Promise<Message> {
    const id = this.#next++
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
      this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    })
  }

  /** The result. @throws Error with the node's text */
  async call<T>(method: string, ...params: unknown[]): Promise<T> {
    const { result, error } = await this.ask(method, ...params)
    if (error !== undefined) throw new Error(`${error.code} ${error.message} ${error.data ?? ''}`)
    return result as T
  }

  /** Waits until a subscription has pushed `count` values; all of them so far. */
  async pushed(subscription: string, count: number): Promise<unknown[]> {
    for (;;) {
      const values = this.#pushed.get(subscription) ?? []
      if (values.length >= count) return values
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#wakers.delete(wake)
          resolve()
        }
        this.#wakers.add(wake)
      })
    }
  }

  close(): void {
    this.socket.terminate()
  }
}
