import type { Clock } from '../lib/clock.js'
import type { Logger } from '../lib/log.js'
import type { Connection } from './connection.js'
import { within } from './deadline.js'
import { ChainError } from './errors.js'
import type { CallOptions, Head } from './types.js'
import type { Uplink } from './uplink.js'

const ARRIVED = new Error('the head arrived')

export interface SessionOptions {
  readonly uplink: Uplink<Connection>
  readonly clock: Clock
  readonly log: Logger
  /** Deadline of one operation, endpoint changes included. */
  readonly operationTimeoutMs: number
}

/** Operations over whichever endpoint works: the one place where a lost endpoint is survived. */
export class Session {
  readonly clock: Clock
  readonly log: Logger
  readonly #uplink: Uplink<Connection>
  readonly #timeoutMs: number

  constructor(options: SessionOptions) {
    this.#uplink = options.uplink
    this.clock = options.clock
    this.log = options.log
    this.#timeoutMs = options.operationTimeoutMs
  }

  /**
   * Runs a read, again on the next endpoint when the one in use is lost or does not answer.
   *
   * @throws ChainError CHAIN_UNREACHABLE when no endpoint served it in time; what `task` throws
   */
  async read<T>(
    what: string,
    options: CallOptions,
    task: (connection: Connection, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    try {
      return await within(this.clock, this.#timeoutMs, what, options.signal, async (signal) => {
        for (;;) {
          const connection = await this.#uplink.link(signal)
          try {
            return await task(connection, signal)
          } catch (error) {
            if (signal.aborted || !isConnectionLoss(error)) throw error
            this.#uplink.suspect(connection)
            // A turn of the event loop, so that a dead connection is withdrawn before the next try.
            await this.clock.sleep(0, signal)
          }
        }
      })
    } catch (error) {
      if (error instanceof ChainError && error.code === 'CHAIN_TIMEOUT') {
        const troubles = this.#uplink.troubles
        throw new ChainError(
          { code: 'CHAIN_UNREACHABLE', endpoints: troubles.map(([endpoint]) => endpoint) },
          `${what}: no chain endpoint answered within ${this.#timeoutMs} ms (` +
            `${troubles.map(([endpoint, trouble]) => `${endpoint}: ${trouble}`).join('; ')})`,
          { cause: error, retryable: true },
        )
      }
      throw error
    }
  }

  onHead(listener: (head: Head) => void): () => void {
    return this.#uplink.onHead(listener)
  }

  /** Resolves when the head is `number` or later, or after `maxMs`. */
  async headAt(number: number, maxMs: number, signal: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const off = this.onHead((head) => {
      if (head.number >= number) stop.abort(ARRIVED)
    })
    if ((this.#uplink.current?.head.number ?? -1) >= number) stop.abort(ARRIVED)
    try {
      await this.clock.sleep(maxMs, AbortSignal.any([signal, stop.signal]))
    } catch {
      signal.throwIfAborted()
    } finally {
      off()
    }
  }

  /** One block of the endpoint in use, or of the network's default when there is none. */
  get blockTimeMs(): number {
    return this.#uplink.current?.blockTimeMs ?? 12_000
  }

  async close(): Promise<void> {
    await this.#uplink.close()
  }
}

export function isConnectionLoss(error: unknown): boolean {
  return (
    error instanceof ChainError &&
    (error.code === 'CHAIN_DISCONNECTED' || error.code === 'CHAIN_TIMEOUT')
  )
}
