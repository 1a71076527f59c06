import type { Redis } from 'ioredis'
import { aborted, type Clock, deadline } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import type { StorageMetrics } from './metrics.js'
import type { ObjectStore } from './types.js'

/** What dies when. */
export interface Schedule {
  /** Notes that `key` dies at `dieAtMs` (Unix ms); a second call moves the date. */
  schedule(key: string, dieAtMs: number): Promise<void>
  /** Keys due at `nowMs`, oldest first. */
  due(nowMs: number, limit: number): Promise<readonly { key: string; dieAtMs: number }[]>
  /** When a key dies; undefined when nothing is noted. */
  dieAt(key: string): Promise<number | undefined>
  forget(key: string): Promise<void>
}

/** The schedule in a Redis sorted set: it survives with the append only file. */
export class RedisSchedule implements Schedule {
  readonly #redis: Redis
  readonly #key: string

  constructor(redis: Redis, prefix = '{subreel}') {
    this.#redis = redis
    this.#key = `${prefix}:retention`
  }

  async schedule(key: string, dieAtMs: number): Promise<void> {
    await this.#redis.zadd(this.#key, dieAtMs, key)
  }

  async due(nowMs: number, limit: number): Promise<{ key: string; dieAtMs: number }[]> {
    const reply = await this.#redis.zrangebyscore(
      this.#key,
      '-inf',
      nowMs,
      'WITHSCORES',
      'LIMIT',
      0,
      limit,
    )
    const flat = reply.map(String)
    return Array.from({ length: flat.length / 2 }, (_, n) => ({
      key: flat[2 * n] ?? '',
      dieAtMs: Number(flat[2 * n + 1]),
    }))
  }

  async dieAt(key: string): Promise<number | undefined> {
    const score = await this.#redis.zscore(this.#key, key)
    return score === null ? undefined : Number(score)
  }

  async forget(key: string): Promise<void> {
    await this.#redis.zrem(this.#key, key)
  }
}

export interface RetentionOptions {
  /** Folders (first key segments) that hold nothing but what a schedule covers. */
  readonly folders: readonly string[]
  /** No object of ours lives longer, in milliseconds: older ones that nobody scheduled are orphans. */
  readonly maxAgeMs: number
}

export interface RetentionModules {
  readonly store: ObjectStore
  readonly schedule: Schedule
  readonly clock: Clock
  readonly log: Logger
  readonly metrics?: StorageMetrics
}

export interface Swept {
  readonly deleted: number
  readonly failed: number
}

const BATCH = 200
/** The store's clock may run ahead of ours; an orphan is old beyond doubt. */
const ORPHAN_MARGIN_MS = 60_000

/** A sweep under way at the end has this long: it is safe to break off and to repeat. */
const STOP_MS = 1_000

/** Deletes what is due, and what was forgotten. Safe to run in several processes at once. */
export class Retention {
  readonly #options: RetentionOptions
  readonly #modules: RetentionModules

  constructor(options: RetentionOptions, modules: RetentionModules) {
    this.#options = options
    this.#modules = modules
  }

  /** Notes when a key dies. Call it before the object exists, so that a crash leaks nothing. */
  async schedule(key: string, dieAtMs: number): Promise<void> {
    await this.#modules.schedule.schedule(key, dieAtMs)
  }

  /** Deletes every object whose time is over. A deletion that fails stays noted for the next sweep. */
  async sweepDue(signal?: AbortSignal): Promise<Swept> {
    const { schedule, clock, metrics } = this.#modules
    let deleted = 0
    for (;;) {
      const due = await schedule.due(clock.now(), BATCH)
      metrics?.overdue.set(due.length)
      let failed = 0
      for (const { key, dieAtMs } of due) {
        if (await this.#delete(key, 'due', signal)) {
          await schedule.forget(key)
          metrics?.lateness.observe((clock.now() - dieAtMs) / 1_000)
          deleted += 1
        } else {
          failed += 1
        }
      }
      if (due.length < BATCH || failed > 0) return { deleted, failed }
    }
  }

  /**
   * Looks through the store for objects that no schedule knows, as after a Redis that lost its data,
   * and deletes those older than anything may become. Nothing scheduled is touched before its time.
   */
  async sweepOrphans(signal?: AbortSignal): Promise<Swept> {
    const { store, schedule, clock } = this.#modules
    let deleted = 0
    let failed = 0
    for (const folder of this.#options.folders) {
      const options = signal === undefined ? {} : { signal }
      const oldestMs = clock.now() - this.#options.maxAgeMs - ORPHAN_MARGIN_MS
      await store.abortStaleUploads?.(`${folder}/`, oldestMs, signal)
      for await (const { key, modifiedMs } of store.list(`${folder}/`, options)) {
        if (modifiedMs >= oldestMs) continue
        if ((await schedule.dieAt(key)) !== undefined) continue
        if (await this.#delete(key, 'orphan', signal)) deleted += 1
        else failed += 1
      }
    }
    return { deleted, failed }
  }

  async #delete(key: string, why: 'due' | 'orphan', signal?: AbortSignal): Promise<boolean> {
    const { store, log, metrics } = this.#modules
    try {
      await store.delete(key, signal === undefined ? {} : { signal })
      metrics?.deleted.inc({ why })
      log.debug({ event: 'object.deleted', key, why }, 'deleted an object')
      return true
    } catch (error) {
      signal?.throwIfAborted()
      metrics?.deleteFailures.inc()
      log.warn(
        { event: 'object.delete-failed', key, reason: describeError(error) },
        'an object could not be deleted yet',
      )
      return false
    }
  }
}

export interface SweeperOptions {
  /** Between two looks for due objects, in milliseconds. */
  readonly everyMs: number
  /** Between two looks through the whole store, in milliseconds. */
  readonly orphansEveryMs: number
  readonly signal: AbortSignal
}

/** Sweeps until the signal aborts: what is due every few seconds, what was forgotten now and then. */
export async function keepSwept(
  retention: Retention,
  options: SweeperOptions,
  modules: { readonly clock: Clock; readonly log: Logger },
): Promise<void> {
  const { clock, log } = modules
  const { signal, everyMs, orphansEveryMs } = options
  const onError = (error: unknown) =>
    log.warn(
      { event: 'sweep.failed', reason: describeError(error) },
      'a sweep failed and is tried again',
    )
  const sweeping = Promise.all([
    runEvery({ clock, signal, everyMs, onError }, async () => {
      await retention.sweepDue(signal)
    }),
    runEvery({ clock, signal, everyMs: orphansEveryMs, onError }, async () => {
      const { deleted } = await retention.sweepOrphans(signal)
      if (deleted > 0)
        log.warn({ event: 'orphans.deleted', deleted }, 'deleted objects that no schedule knew')
    }),
  ])
  // A command to a Redis that is away waits for it: its sweep must not keep the process.
  const overdue = aborted(signal).then(() => aborted(deadline(STOP_MS)))
  await Promise.race([sweeping, overdue])
}

/** How long an object of ours can live: its URL's time, and the longest upload before that. */
export const longestLifeMs = (expirySeconds: number): number => expirySeconds * 1_000 + 600_000
