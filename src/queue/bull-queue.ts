import { type Job, type JobsOptions, Queue, QueueEvents } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Clock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { QueueError } from './errors.js'
import { laneCapacity, UNMEASURED_JOB_MS, waitMs } from './estimate.js'
import { jobId } from './job-id.js'
import {
  cancelChannel,
  DEFAULT_SETTINGS,
  decodeReason,
  type JobData,
  jobDataSchema,
  laneKeys,
  laneName,
  liveReports,
  type QueueSettings,
  REPORT_TTL_MS,
  recordKey,
} from './lane.js'
import type { QueueMetrics } from './metrics.js'
import { lanePriority } from './priority.js'
import {
  checkRedisFacts,
  connectProducer,
  connectWorker,
  redisFacts,
  unavailable,
  whenReady,
} from './redis.js'
import { type Admission, admit } from './scripts.js'
import { TakenJobs } from './taken-jobs.js'
import {
  type Capacity,
  JOB_KINDS,
  type JobKind,
  type JobQueue,
  type JobRequest,
  type JobView,
} from './types.js'

export interface BullJobQueueOptions {
  readonly redisUrl: string
  readonly settings?: Partial<QueueSettings>
  /** Accept a Redis that keeps nothing on disk. Default false. */
  readonly allowVolatile?: boolean
  /** How long the first connection may take, in milliseconds. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** How long any later command may take, in milliseconds. Default 2 s. */
  readonly commandTimeoutMs?: number
}

export interface BullJobQueueModules {
  readonly log: Logger
  readonly clock: Clock
  readonly metrics?: QueueMetrics
}

/** Between two looks of a waiter when no event came: events are lost while Redis restarts. */
const LOOK_EVERY_MS = 2_000
/** Longest time any call may take. */
const CALL_TIMEOUT_MS = 4_000
const KEEP_CANCELLED_S = 3_600
const ENDED = new Set(['completed', 'failed', 'cancelled'])

/** The producer's side of the queue: lanes are BullMQ queues, one per kind, in one Redis. */
export class BullJobQueue implements JobQueue {
  readonly #redis: Redis
  readonly #settings: QueueSettings
  readonly #lanes: ReadonlyMap<JobKind, Queue<JobData>>
  readonly #events = new Map<JobKind, { events: QueueEvents; connection: Redis }>()
  readonly #waiters = new Map<string, Set<() => void>>()
  readonly #modules: BullJobQueueModules
  readonly #redisUrl: string
  readonly #taken: TakenJobs
  /** Ends when what Redis forgot in its last restart is there again. */
  #restored = Promise.resolve()
  readonly #closed = new AbortController()

  private constructor(options: BullJobQueueOptions, modules: BullJobQueueModules, redis: Redis) {
    this.#redis = redis
    this.#redisUrl = options.redisUrl
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings }
    this.#modules = modules
    this.#lanes = new Map(
      JOB_KINDS.map((kind) => {
        const queue = new Queue<JobData>(laneName(kind), {
          connection: redis,
          prefix: this.#settings.prefix,
        })
        // BullMQ repeats the connection's errors, which are logged where they happen.
        queue.on('error', () => {})
        return [kind, queue]
      }),
    )
    this.#taken = new TakenJobs(modules.clock)
    redis.on('close', () => this.#taken.redisAway())
    redis.on('ready', () => {
      this.#restored = this.#restoreLost()
    })
  }

  /**
   * Connects and checks the server.
   * @throws QueueError QUEUE_UNAVAILABLE, QUEUE_REDIS_VERSION, QUEUE_REDIS_POLICY, QUEUE_REDIS_VOLATILE
   */
  static async open(
    options: BullJobQueueOptions,
    modules: BullJobQueueModules,
  ): Promise<BullJobQueue> {
    const redis = connectProducer(options.redisUrl, modules.log, options.commandTimeoutMs)
    try {
      await whenReady(redis, options.connectTimeoutMs ?? 10_000)
      const facts = await redisFacts(redis)
      checkRedisFacts(facts, { allowVolatile: options.allowVolatile ?? false })
      modules.log.info({ event: 'redis.checked', ...facts }, 'Redis is fit for the queue')
    } catch (error) {
      redis.disconnect()
      throw error
    }
    return new BullJobQueue(options, modules, redis)
  }

  /** Resolves when Redis answers. @throws QueueError QUEUE_UNAVAILABLE */
  async ping(): Promise<void> {
    await this.#ask(() => this.#redis.ping())
  }

  async enqueue<P>(request: JobRequest<P>): Promise<{ id: string; duplicate: boolean }> {
    const { clock, metrics } = this.#modules
    const id = jobId(request.hotkey, request.taskId)
    const { prefix, maxWaiting, maxWaitMs, attempts, backoffMs, keepMs } = this.#settings
    const lane = this.#lane(request.kind)
    const keys = laneKeys(prefix, request.kind)
    return this.#ask(async () => {
      const nowMs = clock.now()
      const place = await admit(
        this.#redis,
        {
          ...keys,
          wait: lane.toKey('wait'),
          prioritized: lane.toKey('prioritized'),
          delayed: lane.toKey('delayed'),
          active: lane.toKey('active'),
          job: lane.toKey(id),
          record: recordKey(prefix, id),
        },
        { id, nowMs, maxWaiting, reportTtlMs: REPORT_TTL_MS },
      )
      if (place.outcome !== 'admitted') {
        metrics?.enqueued.inc({ kind: request.kind, outcome: place.outcome })
        if (place.outcome === 'duplicate') return { id, duplicate: true }
        throw refusal(place, request.kind, maxWaiting)
      }
      const priority = lanePriority({
        nowMs,
        laneStartMs: place.laneStartMs,
        stake: request.stake,
        maxWaitMs,
      })
      const aheadMs = await this.#aheadMs(lane, place, priority)
      if (aheadMs > request.timeoutMs) {
        await this.#redis.zrem(keys.reserved, id)
        metrics?.enqueued.inc({ kind: request.kind, outcome: 'late' })
        throw new QueueError(
          { code: 'QUEUE_LATE', kind: request.kind, retryAfterMs: aheadMs },
          `the ${request.kind} jobs ahead take ${Math.ceil(aheadMs / 1_000)} s, longer than the caller waits`,
          { retryable: true },
        )
      }
      const data: JobData = {
        kind: request.kind,
        hotkey: request.hotkey,
        taskId: request.taskId,
        payload: request.payload,
        expiresAtMs: nowMs + request.timeoutMs,
      }
      const options: JobsOptions = {
        jobId: id,
        priority,
        attempts,
        backoff: { type: 'exponential', delay: backoffMs, jitter: 0.5 },
        removeOnComplete: { age: Math.ceil(keepMs / 1_000) },
        removeOnFail: { age: Math.ceil(keepMs / 1_000) },
      }
      const add = () => lane.add(request.kind, data, options)
      const adding = add()
      // Sent right behind the add on the same connection: the place is counted once at any later moment.
      const release = () => void this.#redis.zrem(keys.reserved, id).catch(() => {})
      await adding.finally(release)
      this.#taken.add({ id, kind: request.kind, again: add })
      metrics?.enqueued.inc({ kind: request.kind, outcome: 'accepted' })
      return { id, duplicate: false }
    })
  }

  async view(id: string): Promise<JobView | undefined> {
    return this.#ask(async () => {
      await this.#restored
      const record = await this.#redis.hgetall(recordKey(this.#settings.prefix, id))
      const found = await this.#find(id)
      if (record['cancelled'] !== undefined) return cancelledView(id, record, found?.job)
      return found === undefined ? undefined : this.#viewOf(found.job, found.state, record)
    })
  }

  async wait(id: string, signal: AbortSignal): Promise<JobView> {
    const both = AbortSignal.any([signal, this.#closed.signal])
    for (;;) {
      both.throwIfAborted()
      const notified = this.#nextEvent(id)
      try {
        const seen = await this.#viewUnlessAway(id)
        if (seen !== undefined) {
          if (ENDED.has(seen.state)) return seen
          await this.#listen(seen.kind)
          // It may have ended between the look and the subscription.
          const again = await this.#viewUnlessAway(id)
          if (again !== undefined && ENDED.has(again.state)) return again
        }
        const woken = new AbortController()
        const pause = this.#modules.clock.sleep(
          LOOK_EVERY_MS,
          AbortSignal.any([both, woken.signal]),
        )
        await Promise.race([notified.promise, pause]).catch(() => both.throwIfAborted())
        woken.abort()
        await pause.catch(() => {})
      } finally {
        notified.forget()
      }
    }
  }

  async cancel(id: string): Promise<boolean> {
    return this.#ask(async () => {
      const key = recordKey(this.#settings.prefix, id)
      const found = await this.#find(id)
      if (found === undefined) return false
      const { job, state } = found
      if (state === 'completed' || state === 'failed') return false
      const kind = jobDataSchema.parse(job.data).kind
      await this.#redis
        .multi()
        .hset(key, 'cancelled', String(this.#modules.clock.now()), 'kind', kind)
        .expire(key, KEEP_CANCELLED_S)
        .publish(cancelChannel(this.#settings.prefix), id)
        .exec()
      if (state !== 'active') {
        // A worker that takes it at this moment sees the mark when it begins.
        this.#taken.drop(id)
        await job.remove().catch(() => undefined)
      }
      this.#wake(id)
      this.#modules.metrics?.cancelled.inc({ kind })
      return true
    })
  }

  async forget(id: string): Promise<void> {
    await this.#ask(async () => {
      const found = await this.#find(id)
      if (found?.state !== undefined && !ENDED.has(found.state)) return
      this.#taken.drop(id)
      await found?.job.remove()
      await this.#redis.del(recordKey(this.#settings.prefix, id))
    })
  }

  async capacity(kind: JobKind): Promise<Capacity> {
    const { prefix, maxWaiting } = this.#settings
    return this.#ask(async () => {
      const [fields, counts] = await Promise.all([
        this.#redis.hgetall(laneKeys(prefix, kind).workers),
        this.#lane(kind).getJobCounts('wait', 'prioritized', 'delayed', 'active'),
      ])
      const active = counts['active'] ?? 0
      const waiting = Object.values(counts).reduce((sum, count) => sum + count, 0) - active
      const workers = liveReports(fields, this.#modules.clock.now())
      const capacity = laneCapacity({ active, waiting, maxWaiting }, workers)
      this.#modules.metrics?.depth.set({ kind, state: 'active' }, active)
      this.#modules.metrics?.depth.set({ kind, state: 'waiting' }, waiting)
      return capacity
    })
  }

  async close(): Promise<void> {
    this.#closed.abort()
    for (const { events, connection } of this.#events.values()) {
      await events.close().catch(() => {})
      connection.disconnect()
    }
    for (const queue of this.#lanes.values()) await queue.close().catch(() => {})
    this.#redis.disconnect()
  }

  /** Measured time until a job of this priority would start; 0 while nothing was measured. */
  async #aheadMs(lane: Queue<JobData>, place: Admission, priority: number): Promise<number> {
    const { waiting, active, slots, meanMs } = place
    if (waiting === 0 || meanMs === 0) return 0
    // BullMQ's score is the priority in the upper bits and the order of arrival in the lower ones.
    const score = (priority + 1) * 2 ** 32
    const before = await this.#redis.zcount(lane.toKey('prioritized'), '-inf', `(${score}`)
    return Math.round(waitMs(active + before, slots, meanMs))
  }

  #lane(kind: JobKind): Queue<JobData> {
    const lane = this.#lanes.get(kind)
    if (lane === undefined) throw new RangeError(`no lane for ${kind}`)
    return lane
  }

  /**
   * An id does not say its lane; there are four, so all are asked at once. The state is read before
   * the job: read after, it could say completed of a job that was read before it had a result.
   */
  async #find(id: string): Promise<{ job: Job<JobData>; state: string } | undefined> {
    const lanes = [...this.#lanes.values()]
    const states = await Promise.all(lanes.map((lane) => lane.getJobState(id)))
    const index = states.findIndex((state) => state !== 'unknown')
    const job = await lanes[index]?.getJob(id)
    return job === undefined ? undefined : { job, state: states[index] ?? 'unknown' }
  }

  async #viewUnlessAway(id: string): Promise<JobView | undefined> {
    try {
      const seen = await this.view(id)
      if (seen === undefined) {
        throw new QueueError(
          { code: 'QUEUE_BAD_JOB', id },
          'no such job: it never was or its time is over',
        )
      }
      return seen
    } catch (error) {
      if (error instanceof QueueError && error.code === 'QUEUE_UNAVAILABLE') return undefined
      throw error
    }
  }

  #viewOf(job: Job<JobData>, state: string, record: Record<string, string>): JobView {
    const { kind } = jobDataSchema.parse(job.data)
    const base = { id: job.id ?? '', kind, result: undefined, error: undefined }
    if (state === 'completed') {
      return { ...base, state, progress: 1, etaMs: 0, result: job.returnvalue }
    }
    const progress = Number(record['progress'] ?? 0)
    if (state === 'failed') {
      const error = decodeReason(job.failedReason)
      return { ...base, state, progress, etaMs: undefined, error }
    }
    const eta = record['etaMs']
    const known = eta !== undefined && eta !== ''
    const sinceMs = this.#modules.clock.now() - Number(record['atMs'] ?? 0)
    const etaMs = known ? Math.max(0, Number(eta) - sinceMs) : undefined
    return { ...base, state: state === 'active' ? 'active' : 'waiting', progress, etaMs }
  }

  /** Redis is back: what it took last and forgot is put there again. */
  async #restoreLost(): Promise<void> {
    for (const { id, kind, again } of this.#taken.redisBack()) {
      try {
        if ((await this.#lane(kind).getJobState(id)) !== 'unknown') continue
        await again()
        this.#modules.metrics?.restored.inc({ kind })
        this.#modules.log.warn(
          { event: 'job.restored', jobId: id, kind },
          'Redis came back without a job that it had taken: it was put there again',
        )
      } catch (error) {
        this.#modules.log.error(
          { event: 'job.lost', jobId: id, kind, reason: describeError(error) },
          'a job that Redis forgot could not be put there again',
        )
      }
    }
  }

  async #listen(kind: JobKind): Promise<void> {
    const known = this.#events.get(kind)
    if (known !== undefined) {
      await known.events.waitUntilReady()
      return
    }
    const connection = connectWorker(this.#redisUrl, this.#modules.log, 'events')
    const events = new QueueEvents(laneName(kind), { connection, prefix: this.#settings.prefix })
    this.#events.set(kind, { events, connection })
    events.on('error', () => {})
    const wake = ({ jobId }: { readonly jobId: string }) => this.#wake(jobId)
    events.on('completed', wake)
    events.on('failed', wake)
    events.on('removed', wake)
    await events.waitUntilReady()
  }

  #nextEvent(id: string): { promise: Promise<void>; forget: () => void } {
    const waiters = this.#waiters.get(id) ?? new Set()
    this.#waiters.set(id, waiters)
    let notify = () => {}
    const promise = new Promise<void>((resolve) => {
      notify = resolve
    })
    waiters.add(notify)
    const forget = () => {
      waiters.delete(notify)
      if (waiters.size === 0) this.#waiters.delete(id)
    }
    return { promise, forget }
  }

  #wake(id: string): void {
    for (const notify of this.#waiters.get(id) ?? []) notify()
  }

  async #ask<T>(command: () => Promise<T>): Promise<T> {
    // Several round trips can outlast one command's time-out: this bounds them all.
    const done = new AbortController()
    const late = this.#modules.clock.sleep(CALL_TIMEOUT_MS, done.signal).then(
      () => Promise.reject(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)),
      () => new Promise<never>(() => {}),
    )
    try {
      return await Promise.race([command(), late])
    } catch (error) {
      if (error instanceof QueueError || error instanceof TypeError) throw error
      this.#modules.metrics?.unavailable.inc()
      this.#modules.log.debug(
        { event: 'redis.call-failed', reason: describeError(error) },
        'Redis call failed',
      )
      throw unavailable(error)
    } finally {
      done.abort()
    }
  }
}

function refusal(place: Admission, kind: JobKind, maxWaiting: number): QueueError {
  if (place.outcome === 'no-worker') {
    return new QueueError(
      { code: 'QUEUE_NO_WORKER', kind, retryAfterMs: 30_000 },
      `no worker takes ${kind} jobs now`,
      { retryable: true },
    )
  }
  const { slots, meanMs } = place
  const jobMs = meanMs === 0 ? UNMEASURED_JOB_MS : meanMs
  const retryAfterMs = Math.max(1_000, Math.round(waitMs(slots, slots, jobMs)))
  return new QueueError(
    { code: 'QUEUE_FULL', kind, retryAfterMs },
    `all ${slots + maxWaiting} places for ${kind} jobs are taken; try again in ${Math.ceil(retryAfterMs / 1_000)} s`,
    { retryable: true },
  )
}

function cancelledView(
  id: string,
  record: Record<string, string>,
  job: Job<JobData> | undefined,
): JobView {
  const kind = JOB_KINDS.find((name) => name === (job?.data.kind ?? record['kind']))
  return {
    id,
    kind: kind ?? 'upscale',
    state: 'cancelled',
    progress: Number(record['progress'] ?? 0),
    etaMs: undefined,
    result: undefined,
    error: { code: 'QUEUE_CANCELLED', message: 'the job was cancelled' },
  }
}
