import type { Clock } from '../lib/clock.js'
import { ChainError } from './errors.js'

/** Ends a timer. One for all: a new DOMException per request would cost more than the request. */
const ANSWERED = new Error('answered')

/**
 * Runs `task` under a deadline of the injected clock. The task gets a signal that aborts at the
 * deadline or with `signal`; even a task that ignores it is left.
 *
 * @throws ChainError CHAIN_TIMEOUT, or the signal's reason
 */
export async function within<T>(
  clock: Clock,
  timeoutMs: number,
  method: string,
  signal: AbortSignal | undefined,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const stop = new AbortController()
  const forward = () => stop.abort(signal?.reason)
  signal?.addEventListener('abort', forward, { once: true })
  const aborted = new Promise<never>((_, reject) => {
    stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true })
  })
  const timer = new AbortController()
  clock.sleep(timeoutMs, timer.signal).then(
    () =>
      stop.abort(
        new ChainError(
          { code: 'CHAIN_TIMEOUT', method, timeoutMs },
          `${method} was not answered within ${timeoutMs} ms`,
          { retryable: true },
        ),
      ),
    () => undefined,
  )
  try {
    return await Promise.race([task(stop.signal), aborted])
  } finally {
    timer.abort(ANSWERED)
    signal?.removeEventListener('abort', forward)
    aborted.catch(() => undefined)
  }
}
