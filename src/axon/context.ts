import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { Deadline } from '../lib/clock.js'
import type { Claim } from './gate.js'
import type { Caller, HandlerContext } from './types.js'

/**
 * What a handler sees of its request. The signal is made when somebody asks for it: most handlers
 * answer at once, and a timer and a listener per request are not free. Dispose of it when the handler
 * is done: until then, or until its time is over, the signal is tied to the axon's.
 */
export class RequestContext implements HandlerContext, Disposable {
  readonly caller: Caller
  readonly timeoutMs: number
  readonly #claim: Claim
  readonly #response: ServerResponse
  readonly #stopping: AbortSignal
  #deadline: Deadline | undefined
  #signal: AbortSignal | undefined

  constructor(claim: Claim, timeoutMs: number, response: ServerResponse, stopping: AbortSignal) {
    this.caller = claim.caller
    this.timeoutMs = timeoutMs
    this.#claim = claim
    this.#response = response
    this.#stopping = stopping
  }

  get requestId(): string {
    const { protocol, caller } = this.#claim
    const unique =
      this.#claim.protocol === 'legacy'
        ? `${this.#claim.sender.uuid}:${this.#claim.sender.nonce}`
        : `${this.#claim.auth.nonce}`
    return createHash('sha256')
      .update(`${protocol}:${caller.hotkey}:${unique}`)
      .digest('hex')
      .slice(0, 32)
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      this.#deadline = new Deadline(this.timeoutMs, this.#stopping)
      this.#signal = AbortSignal.any([this.#deadline.signal, hangUp(this.#response)])
    }
    return this.#signal
  }

  [Symbol.dispose](): void {
    this.#deadline?.[Symbol.dispose]()
  }
}

function hangUp(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  const gone = () => {
    if (!response.writableFinished) {
      controller.abort(new DOMException('the caller hung up', 'AbortError'))
    }
  }
  if (response.destroyed) gone()
  else response.once('close', gone)
  return controller.signal
}
