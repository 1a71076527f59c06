import { randomUUID } from 'node:crypto'
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { type Clock, Deadline } from '../lib/clock.js'
import { describeError, SubnetError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import { QueueError } from './errors.js'
import { nextMeanMs } from './estimate.js'
import {
  cancelChannel,
  DEFAULT_SETTINGS,
  encodeReason,
  encodeReport,
  type JobData,
  jobDataSchema,
  laneKeys,
  laneName,
  liveReports,
  type QueueSettings,
  REPORT_EVERY_MS,
  recordKey,
} from './lane.js'
import type { QueueMetrics } from './metrics.js'
import { ALONE_AFTER, isPoison } from './poison.js'
import { connectWorker } from './redis.js'
import { RunLog } from './run-log.js'
import { Solitude } from './solitude.js'
import type { JobKind, JobProcessor } from './types.js'

export interface BullWorkersOptions {
  readonly redisUrl: string
  readonly settings?: Partial<QueueSettings>
}

export interface BullWorkersModules {
  readonly log: Logger
  readonly clock: Clock
  readonly metrics?: QueueMetrics
}

interface Lane {
  readonly worker: Worker<JobData>
  readonly slots: number
  meanMs: number
  /** Why this process takes no jobs of the kind now. */
  paused: string | undefined
}

interface Run {
  readonly id: string
  readonly stop: AbortController
  /** Aborts when nobody wants the answer any more. */
  late: Deadline | undefined
}

/** How long a closing worker tries to hand its jobs back. */
const HAND_BACK_MS = 5_000

/** The consumer's side of the queue: the lanes that this process works on. */
export class BullWorkers {
  readonly #id = randomUUID()
  readonly #settings: QueueSettings
  readonly #modules: BullWorkersModules
  readonly #redis: Redis
  readonly #subscriber: Redis
  readonly #lanes = new Map<JobKind, Lane>()
  readonly #runs = new Set<Run>()
  readonly #solitude = new Solitude()
  readonly #closed = new AbortController()
  readonly #reporting: Promise<void>

  constructor(options: BullWorkersOptions, modules: BullWorkersModules) {
    this.#settings = { ...DEFAULT_SETTINGS, ...options.settings }
    this.#modules = modules
    this.#redis = connectWorker(options.redisUrl, modules.log)
    this.#subscriber = connectWorker(options.redisUrl, modules.log, 'cancel')
    this.#subscriber.subscribe(cancelChannel(this.#settings.prefix)).catch(() => {})
    this.#subscriber.on('message', (_channel, id) => this.#cancelRun(id))
    this.#reporting = runEvery(
      {
        clock: modules.clock,
        signal: this.#closed.signal,
        everyMs: REPORT_EVERY_MS,
        onError: (error) =>
          modules.log.debug(
            { event: 'worker.report-failed', reason: describeError(error) },
            'report failed',
          ),
      },
      () => this.#report(),
    )
  }

  /**
   * Takes jobs of `kind`, at most `slots` at once. Resolves when the lane is open and announced.
   * With a reason to be `closed` it takes none before `resume`.
   */
  async work<P, R>(
    kind: JobKind,
    slots: number,
    processor: JobProcessor<P, R>,
    closed?: string,
  ): Promise<void> {
    const { prefix, lockMs, stalledEveryMs, keepMs } = this.#settings
    const age = Math.ceil(keepMs / 1_000)
    const worker = new Worker<JobData>(
      laneName(kind),
      (job, token, signal) => this.#process(kind, processor, job, token ?? '', signal),
      {
        connection: this.#redis,
        prefix,
        autorun: closed === undefined,
        concurrency: slots,
        lockDuration: lockMs,
        stalledInterval: stalledEveryMs,
        // Deaths of workers are judged when the job starts again, not counted.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        removeOnComplete: { age },
        removeOnFail: { age },
      },
    )
    const { log, metrics } = this.#modules
    worker.on('error', (error) =>
      log.debug({ event: 'worker.errored', kind, reason: describeError(error) }, 'worker error'),
    )
    worker.on('stalled', (id) => {
      metrics?.stalled.inc({ kind })
      log.warn(
        { event: 'job.stalled', kind, jobId: id },
        'a worker fell silent, its job starts again',
      )
    })
    worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const run of this.#runs) if (ids.includes(run.id)) run.stop.abort(lostLock())
    })
    this.#lanes.set(kind, { worker, slots, meanMs: 0, paused: closed })
    if (closed !== undefined) this.#logPause(kind, closed)
    await worker.waitUntilReady()
    await this.#forgetDead(kind)
    await this.#report()
  }

  /** Stops taking `kind` and says so in the lane's capacity; running jobs go on. */
  async pause(kind: JobKind, reason: string): Promise<void> {
    const lane = this.#lanes.get(kind)
    if (lane === undefined || lane.paused !== undefined) return
    lane.paused = reason
    this.#logPause(kind, reason)
    await lane.worker.pause(true)
    await this.#report()
  }

  #logPause(kind: JobKind, reason: string): void {
    this.#modules.log.warn(
      { event: 'lane.paused', kind, reason },
      'taking no more jobs of this kind',
    )
  }

  /** Takes `kind` again. */
  async resume(kind: JobKind): Promise<void> {
    const lane = this.#lanes.get(kind)
    if (lane === undefined || lane.paused === undefined) return
    lane.paused = undefined
    this.#modules.log.info({ event: 'lane.resumed', kind }, 'taking jobs of this kind again')
    await lane.worker.resume()
    await this.#report()
  }

  /** True while `kind` is paused here. */
  isPaused(kind: JobKind): boolean {
    return this.#lanes.get(kind)?.paused !== undefined
  }

  /** Jobs running in this process. */
  get running(): number {
    return this.#runs.size
  }

  /**
   * Takes nothing new, lets running jobs finish for `graceMs`, sends the rest back to their lanes
   * without counting a failure, and disconnects.
   */
  async close(graceMs = 0): Promise<void> {
    if (this.#closed.signal.aborted) return
    this.#closed.abort()
    await this.#reporting
    const lanes = [...this.#lanes]
    await Promise.all(lanes.map(([, lane]) => lane.worker.pause(true).catch(() => {})))
    await this.#withdraw(lanes.map(([kind]) => kind))
    const finished = Promise.all(lanes.map(([, lane]) => lane.worker.close().catch(() => {})))
    const grace = new AbortController()
    const over = this.#modules.clock.sleep(graceMs, grace.signal).catch(() => {})
    await Promise.race([finished, over])
    grace.abort()
    for (const run of this.#runs) run.stop.abort(stopped())
    // Without Redis nothing can be handed back: the locks run out and other workers take over.
    const hopeless = new AbortController()
    const enough = this.#modules.clock.sleep(HAND_BACK_MS, hopeless.signal).catch(() => {})
    await Promise.race([finished, enough])
    hopeless.abort()
    this.#subscriber.disconnect()
    this.#redis.disconnect()
  }

  async #process<P, R>(
    kind: JobKind,
    processor: JobProcessor<P, R>,
    job: Job<JobData>,
    token: string,
    bullSignal: AbortSignal | undefined,
  ): Promise<R> {
    const { metrics, log } = this.#modules
    const run: Run = { id: job.id ?? '', stop: new AbortController(), late: undefined }
    this.#runs.add(run)
    try {
      const result = await this.#run(kind, processor, job, run, bullSignal)
      metrics?.ended.inc({ kind, code: 'OK' })
      return result
    } catch (error) {
      throw await this.#failure(kind, job, token, run, error, log)
    } finally {
      run.late?.[Symbol.dispose]()
      this.#runs.delete(run)
    }
  }

  async #run<P, R>(
    kind: JobKind,
    processor: JobProcessor<P, R>,
    job: Job<JobData>,
    run: Run,
    bullSignal: AbortSignal | undefined,
  ): Promise<R> {
    const { clock, metrics } = this.#modules
    const { id } = run
    const startedMs = clock.now()
    const runLog = this.#runLog(kind, id, job.attemptsStarted)
    let leave = () => {}
    try {
      const parsed = jobDataSchema.safeParse(job.data)
      if (!parsed.success) {
        throw new QueueError(
          { code: 'QUEUE_BAD_JOB', id },
          'the job was written by another version',
        )
      }
      const { hotkey, taskId, payload, expiresAtMs } = parsed.data
      const leftMs = expiresAtMs - startedMs
      if (leftMs <= 0) throw deadlineError()
      if (job.attemptsStarted <= 1)
        metrics?.startWait.observe({ kind }, (startedMs - job.timestamp) / 1_000)
      run.late = new Deadline(leftMs)
      const signals = [run.stop.signal, run.late.signal]
      const signal = AbortSignal.any(bullSignal === undefined ? signals : [...signals, bullSignal])
      leave = await this.#begin(runLog, run, job.stalledCounter, signal)
      const result = await processor({
        ...{ id, kind, hotkey, taskId, signal, expiresAtMs },
        payload: payload as P,
        attempt: job.attemptsStarted,
        progress: (fraction, etaMs) =>
          runLog.progress(fraction, etaMs, (why) =>
            run.stop.abort(why === 'cancelled' ? cancelledError() : lostLock()),
          ),
      })
      if (run.stop.signal.aborted) throw run.stop.signal.reason
      this.#measure(kind, clock.now() - startedMs)
      return result
    } finally {
      leave()
      // Before the queue hears of the end: by then another worker may have begun the next run.
      runLog.end()
    }
  }

  #runLog(kind: JobKind, id: string, fence: number): RunLog {
    const { prefix } = this.#settings
    const keys = { record: recordKey(prefix, id), deaths: laneKeys(prefix, kind).deaths }
    return new RunLog({ redis: this.#redis, clock: this.#modules.clock }, keys, fence)
  }

  /**
   * Lets a run begin: at once, or alone when its workers keep dying. Returns the way out.
   * @throws QueueError QUEUE_POISON
   */
  async #begin(runLog: RunLog, run: Run, stalls: number, signal: AbortSignal): Promise<() => void> {
    const begun = runLog.begin(this.#settings.keepMs)
    // Not waited for: a cancelled job that was already on its way is stopped a moment after its start.
    begun.then(
      ({ cancelled }) => {
        if (cancelled) run.stop.abort(cancelledError())
      },
      () => {},
    )
    if (stalls < ALONE_AFTER) return this.#solitude.enter(false, signal)
    const { deaths } = await begun
    if (stalls >= this.#settings.maxStalls && isPoison(deaths)) throw poisonError(stalls)
    const leave = await this.#solitude.enter(true, signal)
    await runLog.alone()
    return leave
  }

  /** What BullMQ must be told of a failed run: try again, give up, or put back. */
  async #failure(
    kind: JobKind,
    job: Job<JobData>,
    token: string,
    run: Run,
    thrown: unknown,
    log: Logger,
  ): Promise<Error> {
    const why: unknown = run.stop.signal.aborted ? run.stop.signal.reason : thrown
    const late = run.late?.expired === true && !run.stop.signal.aborted
    const error = late ? deadlineError(why) : why
    const code = error instanceof SubnetError ? error.code : 'INTERNAL'
    const message = error instanceof Error ? error.message : String(error)
    this.#modules.metrics?.ended.inc({ kind, code })
    if (code === 'QUEUE_WORKER_STOPPED') {
      log.info({ event: 'job.returned', kind, jobId: job.id }, 'job goes back to its lane')
      await job.moveToWait(token)
      return new WaitingError()
    }
    const retryable = error instanceof SubnetError ? error.retryable : false
    log.warn(
      {
        event: 'job.failed',
        kind,
        jobId: job.id,
        code,
        retryable,
        attempt: job.attemptsStarted,
        err: error,
      },
      'a run of the job failed',
    )
    const reason = encodeReason(code, message)
    return retryable ? new Error(reason) : new UnrecoverableError(reason)
  }

  #measure(kind: JobKind, tookMs: number): void {
    const lane = this.#lanes.get(kind)
    if (lane === undefined) return
    lane.meanMs = nextMeanMs(lane.meanMs, tookMs)
    this.#modules.metrics?.run.observe({ kind }, tookMs / 1_000)
  }

  #cancelRun(id: string): void {
    for (const run of this.#runs) if (run.id === id) run.stop.abort(cancelledError())
  }

  async #report(): Promise<void> {
    if (this.#closed.signal.aborted || this.#redis.status !== 'ready') return
    const atMs = this.#modules.clock.now()
    for (const [kind, lane] of this.#lanes) {
      const slots = lane.paused === undefined ? lane.slots : 0
      const report = encodeReport({ slots, meanMs: lane.meanMs }, atMs)
      await this.#redis.hset(laneKeys(this.#settings.prefix, kind).workers, this.#id, report)
    }
  }

  async #forgetDead(kind: JobKind): Promise<void> {
    const key = laneKeys(this.#settings.prefix, kind).workers
    const fields = await this.#redis.hgetall(key)
    for (const [id, report] of Object.entries(fields)) {
      if (liveReports({ id: report }, this.#modules.clock.now()).length > 0) continue
      await this.#redis.hdel(key, id)
    }
  }

  async #withdraw(kinds: readonly JobKind[]): Promise<void> {
    if (this.#redis.status !== 'ready') return
    for (const kind of kinds) {
      await this.#redis
        .hdel(laneKeys(this.#settings.prefix, kind).workers, this.#id)
        .catch(() => {})
    }
  }
}

const cancelledError = () => new QueueError({ code: 'QUEUE_CANCELLED' }, 'the job was cancelled')
const lostLock = () =>
  new QueueError({ code: 'QUEUE_LOST_LOCK' }, 'another worker took the job over', {
    retryable: true,
  })
const poisonError = (stalls: number) =>
  new QueueError(
    { code: 'QUEUE_POISON', stalls },
    `${stalls} workers died while they ran this job, soon and alone, as others did not`,
  )
const stopped = () => new QueueError({ code: 'QUEUE_WORKER_STOPPED' }, 'the worker shuts down')
const deadlineError = (cause?: unknown) =>
  new QueueError({ code: 'QUEUE_DEADLINE' }, 'the job ran out of time', { cause })
