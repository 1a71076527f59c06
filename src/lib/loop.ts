import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from './clock.js'
import { isAbort } from './errors.js'

export interface LoopOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Time between the starts of two runs, in milliseconds. */
  readonly everyMs: number
  /** Called for what a run throws; the loop goes on. */
  readonly onError: (error: unknown) => void
  /** Called when a run took longer than `everyMs` and ticks were dropped. */
  readonly onSkip?: (missed: number) => void
}

/**
 * Runs `task` at once and then every `everyMs` until the signal aborts. An overloaded loop drops
 * ticks rather than queue them: what was missed is stale by definition. Resolves after the last run.
 */
export async function runEvery(
  options: LoopOptions,
  task: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { clock, signal, everyMs } = options
  let due = clock.monotonic()
  while (!signal.aborted) {
    try {
      await task(signal)
    } catch (error) {
      if (signal.aborted && isAbort(error)) return
      options.onError(error)
    }
    due += everyMs
    const late = clock.monotonic() - due
    if (late > 0) {
      const missed = Math.floor(late / everyMs) + 1
      options.onSkip?.(missed)
      due += missed * everyMs
    }
    try {
      await clock.sleep(due - clock.monotonic(), signal)
    } catch {
      return
    }
  }
}

/** Tasks started before others get a turn: signing 256 requests at a stroke would hold up everything. */
const BURST = 2

/** Runs `task` over `items`, at most `limit` at once, results in the order of the items. */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  task: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const worker = async (index: number) => {
    for (let turns = Math.floor(index / BURST); turns > 0; turns -= 1) await turn()
    for (let i = next++; i < items.length; i = next++) {
      results[i] = await task(items[i] as T, i)
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, (_, i) => worker(i)))
  return results
}
