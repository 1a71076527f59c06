import { randomBytes } from 'node:crypto'

/** One client's socket and what it subscribed to. */
export class Connection {
  readonly #send: (message: object) => void
  readonly #subscriptions = new Map<string, () => void>()

  constructor(send: (message: object) => void) {
    this.#send = send
  }

  /**
   * Starts a subscription and returns its id. `start` gets a function that notifies the client and
   * returns what stops the subscription. Nothing is pushed before the answer with the id has gone.
   */
  subscribe(method: string, start: (push: (value: unknown) => void) => () => void): string {
    const id = randomBytes(8).toString('hex')
    let open = true
    const push = (value: unknown): void => {
      setImmediate(() => {
        if (!open) return
        this.#send({ jsonrpc: '2.0', method, params: { subscription: id, result: value } })
      })
    }
    const stop = start(push)
    this.#subscriptions.set(id, () => {
      open = false
      stop()
    })
    return id
  }

  unsubscribe(id: string): boolean {
    const stop = this.#subscriptions.get(id)
    this.#subscriptions.delete(id)
    stop?.()
    return stop !== undefined
  }

  close(): void {
    for (const id of [...this.#subscriptions.keys()]) this.unsubscribe(id)
  }
}
