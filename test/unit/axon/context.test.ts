import assert from 'node:assert/strict'
import { EventEmitter, getEventListeners, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { RequestContext } from '#src/axon/context.js'
import type { Claim } from '#src/axon/gate.js'

/** As much of a response as a context looks at. */
const openResponse = () =>
  Object.assign(new EventEmitter(), { destroyed: false, writableFinished: false })

function contextOf(stopping: AbortSignal, timeoutMs = 60_000) {
  const response = openResponse()
  const claim = { caller: {} } as Claim
  const context = new RequestContext(
    claim,
    timeoutMs,
    response as unknown as ServerResponse,
    stopping,
  )
  return { context, response }
}

/** Signals made of one by AbortSignal.any, which Node 20 keeps in it under a symbol, for good. */
const heldBy = (signal: AbortSignal): number =>
  Object.getOwnPropertySymbols(signal)
    .map(
      (key) => (signal as unknown as Record<symbol, { readonly size?: number } | undefined>)[key],
    )
    .reduce((sum, kept) => sum + (kept?.size ?? 0), 0)

describe('the signal of a request', () => {
  it('aborts when the axon stops', () => {
    const stopping = new AbortController()
    using context = contextOf(stopping.signal).context
    const { signal } = context
    assert.equal(signal.aborted, false)
    stopping.abort(new DOMException('the axon stops', 'AbortError'))
    assert.equal(signal.reason.message, 'the axon stops')
  })

  it('aborts when the caller hangs up, and not when it was answered', () => {
    const stopping = new AbortController().signal
    const left = contextOf(stopping)
    const served = contextOf(stopping)
    using _ = left.context
    using __ = served.context
    const [gone, done] = [left.context.signal, served.context.signal]
    left.response.emit('close')
    served.response.writableFinished = true
    served.response.emit('close')
    assert.equal(gone.reason.name, 'AbortError')
    assert.equal(done.aborted, false)
  })

  it('aborts when the time of the caller is over', async () => {
    using context = contextOf(new AbortController().signal, 5).context
    const { signal } = context
    const alive = setInterval(() => {}, 1000)
    await once(signal, 'abort')
    clearInterval(alive)
    assert.equal(signal.reason.name, 'TimeoutError')
  })

  it('leaves nothing in the signal of the axon, which outlives it', () => {
    const stopping = new AbortController()
    const before = heldBy(stopping.signal)
    for (let i = 0; i < 100; i += 1) {
      using context = contextOf(stopping.signal).context
      context.signal.addEventListener('abort', () => {})
    }
    assert.equal(heldBy(stopping.signal), before)
    assert.equal(getEventListeners(stopping.signal, 'abort').length, 0)
  })
})
