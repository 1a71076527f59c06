import type { Redis } from 'ioredis'
import type { Clock } from '../lib/clock.js'
import { LruMap } from '../lib/lru.js'
import type { JobKind } from './types.js'

/** More than the lanes hold; beyond it the oldest are no longer watched. */
const WATCHED = 10_000

export interface TakenJobsOptions {
  /** For so long after its end a job is in Redis. */
  readonly keepMs: number
  /** The key of a job in Redis. */
  readonly keyOf: (kind: JobKind, id: string) => string
}

/**
 * The jobs that this process put into the queue, to tell after a restart of Redis which of them it
 * no longer has: the last second of an append-only file can be lost in a power cut.
 */
export class TakenJobs {
  readonly #jobs = new LruMap<string, { readonly kind: JobKind; readonly atMs: number }>(WATCHED)
  readonly #options: TakenJobsOptions
  readonly #clock: Clock

  constructor(options: TakenJobsOptions, clock: Clock) {
    this.#options = options
    this.#clock = clock
  }

  add(id: string, kind: JobKind): void {
    this.#jobs.set(id, { kind, atMs: this.#clock.now() })
  }

  /** It was removed on purpose. */
  drop(id: string): void {
    this.#jobs.delete(id)
  }

  /** The jobs that should be in Redis and are not; each is told once. */
  async missing(redis: Redis): Promise<readonly { readonly id: string; readonly kind: JobKind }[]> {
    const since = this.#clock.now() - this.#options.keepMs
    const due = [...this.#jobs.entries()].filter(([, { atMs }]) => atMs > since)
    const there = await Promise.all(
      due.map(([id, { kind }]) => redis.exists(this.#options.keyOf(kind, id))),
    )
    const gone = due.filter((_, i) => there[i] === 0)
    for (const [id] of gone) this.drop(id)
    return gone.map(([id, { kind }]) => ({ id, kind }))
  }
}
