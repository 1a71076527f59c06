import type { Clock } from '../lib/clock.js'
import { LruMap } from '../lib/lru.js'
import type { JobKind } from './types.js'

/**
 * How far back a Redis that dies can have forgotten: with `appendfsync everysec` it may put off a
 * write for two seconds while an fsync is under way, and a power cut takes what was not yet synced.
 */
const FORGETS_MS = 10_000
/** More than lanes take in that time, and few enough to hold their payloads. */
const WATCHED = 512

export interface TakenJob {
  readonly id: string
  readonly kind: JobKind
  /** Puts it into the queue again, under the same id. */
  readonly again: () => Promise<unknown>
}

/** The jobs that this process put into the queue of late, to be put there again when Redis dies and has forgotten them. */
export class TakenJobs {
  readonly #jobs = new LruMap<string, TakenJob & { readonly atMs: number }>(WATCHED)
  readonly #clock: Clock
  /** When Redis went away; undefined while it is there. */
  #awaySinceMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(job: TakenJob): void {
    this.#jobs.set(job.id, { ...job, atMs: this.#clock.now() })
  }

  /** It was removed on purpose. */
  drop(id: string): void {
    this.#jobs.delete(id)
  }

  redisAway(): void {
    this.#awaySinceMs ??= this.#clock.now()
  }

  /** Redis is back: the jobs that it took shortly before it went, each told once. */
  redisBack(): readonly TakenJob[] {
    const since = (this.#awaySinceMs ?? Number.POSITIVE_INFINITY) - FORGETS_MS
    this.#awaySinceMs = undefined
    const late = [...this.#jobs.entries()].filter(([, { atMs }]) => atMs >= since)
    for (const [id] of late) this.drop(id)
    return late.map(([, job]) => job)
  }
}
