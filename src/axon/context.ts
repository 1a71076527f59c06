import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Claim } from './gate.js'
import type { Caller, HandlerContext } from './types.js'

/**
 * What a handler sees of its request. The signal is made when somebody asks for it: most handlers
 * answer at once, and a timer and a listener per request are not free.
 */
export class RequestContext implements HandlerContext {
  readonly caller: Caller
  readonly timeoutMs: number
  readonly #claim: Claim
  readonly #response: ServerResponse
  readonly #stopping: AbortSignal
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
    this.#signal ??= AbortSignal.any([
      this.#stopping,
      AbortSignal.timeout(this.timeoutMs),
      hangUp(this.#response),
    ])
    return this.#signal
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
