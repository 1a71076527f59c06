import type { Redis } from 'ioredis'
import type { Clock } from '../lib/clock.js'
import { runEvery } from '../lib/loop.js'
import { etaFromProgress } from './estimate.js'
import { type Deaths, SEEN_EVERY_MS } from './poison.js'
import { begin, beginAlone, end, noteLife, noteProgress, type RunKeys } from './scripts.js'

/** Not faster than this does a run's progress go to Redis. */
const PROGRESS_EVERY_MS = 500

export interface RunLogModules {
  readonly redis: Redis
  readonly clock: Clock
}

/** What one run of a job says of itself in Redis. What cannot be written is not waited for. */
export class RunLog {
  readonly #modules: RunLogModules
  readonly #keys: RunKeys
  /** Above that of any earlier run of the job. */
  readonly #fence: number
  readonly #startedMs: number
  readonly #over = new AbortController()
  #progress = 0
  #sentMs = Number.NEGATIVE_INFINITY

  constructor(modules: RunLogModules, keys: RunKeys, fence: number) {
    this.#modules = modules
    this.#keys = keys
    this.#fence = fence
    this.#startedMs = modules.clock.now()
  }

  begin(keepMs: number): Promise<{ readonly cancelled: boolean; readonly deaths: Deaths }> {
    const { redis } = this.#modules
    return begin(redis, this.#keys, { fence: this.#fence, keepMs, nowMs: this.#startedMs })
  }

  /** From now on the worker runs nothing else: says so, and keeps saying that it lives. */
  async alone(): Promise<void> {
    const { redis, clock } = this.#modules
    await beginAlone(redis, this.#keys, clock.now())
    const beat = { clock, signal: this.#over.signal, everyMs: SEEN_EVERY_MS, onError: () => {} }
    void runEvery(beat, () => noteLife(redis, this.#keys, clock.now()))
  }

  /** Notes a fraction, 0–1, never backwards; tells when the run should stop. */
  progress(
    fraction: number,
    etaMs: number | undefined,
    stop: (why: 'superseded' | 'cancelled') => void,
  ): void {
    const { redis, clock } = this.#modules
    const nowMs = clock.now()
    this.#progress = Math.max(this.#progress, Math.min(1, Number.isFinite(fraction) ? fraction : 0))
    if (nowMs - this.#sentMs < PROGRESS_EVERY_MS && this.#progress < 1) return
    this.#sentMs = nowMs
    const eta = etaMs ?? etaFromProgress(nowMs - this.#startedMs, this.#progress)
    const input = { fence: this.#fence, fraction: this.#progress, etaMs: eta, nowMs }
    noteProgress(redis, this.#keys.record, input).then(
      (outcome) => {
        if (outcome !== 'noted') stop(outcome)
      },
      () => {},
    )
  }

  /** The run ended by itself, well or not. */
  end(): void {
    const { redis, clock } = this.#modules
    this.#over.abort()
    end(redis, this.#keys, { fence: this.#fence, nowMs: clock.now() }).catch(() => {})
  }
}
