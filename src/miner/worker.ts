import type { z } from 'zod'
import { ENGINE_DOUBT_CODES, ENGINE_DOWN_CODES } from '../engines/index.js'
import { type Clock, Deadline } from '../lib/clock.js'
import { describeError, isAbort, SubnetError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import type { Workspace } from '../lib/workspace.js'
import type { BullWorkers } from '../queue/index.js'
import type { JobContext, JobKind } from '../queue/types.js'
import { MinerError } from './errors.js'
import type { MinerMetrics } from './metrics.js'
import type { VideoRunner } from './runners.js'
import type { TaskResult, VideoOutcome } from './tasks.js'

/** One kind of work that this process does. */
export interface WorkerLane<V> {
  readonly kind: JobKind
  readonly slots: number
  readonly schema: z.ZodType<{ videos: V[] }>
  readonly runner: VideoRunner<V>
  /** The engine is on another machine: it is looked at all the time, not only after failures. */
  readonly remote?: boolean
}

export interface MinerWorkerModules {
  readonly workers: BullWorkers
  readonly workspace: Workspace
  readonly clock: Clock
  readonly log: Logger
  readonly metrics?: MinerMetrics
}

interface OpenLane {
  readonly kind: JobKind
  readonly ready: (signal: AbortSignal) => Promise<void>
  readonly close: () => Promise<void>
  readonly remote: boolean
  /** Failures in a row that say that the engine itself does not work. */
  broken: number
  /** Failures in a row that may be the engine's. */
  doubts: number
  /** A lane that was closed is not opened before, in monotonic milliseconds. */
  restsUntilMs: number
  restMs: number
}

const SWEEP_EVERY_MS = 300_000
const HEALTH_EVERY_MS = 5_000
/** So many in a row, and the engine has to prove itself before it gets more work. */
const BROKEN_LIMIT = 2
/** An engine that passes its trial and fails its work again and again rests twice as long each time, up to this. */
const MAX_REST_MS = 60_000
const READY_TIMEOUT_MS = 60_000

/** Codes that speak of the engine or of what stands for it, not of the video. */
const DOWN_CODES = new Set([...ENGINE_DOWN_CODES, 'COMFY_NO_SERVER', 'MINER_ENGINE_DOWN'])
/** Codes after which the engine is asked. */
const DOUBT_CODES = new Set([...ENGINE_DOUBT_CODES, 'MINER_STAGE_LATE'])

/**
 * Works on the lanes of this process. An engine that fails to warm up, or is found dead, has its
 * lane closed and announced as closed until it is ready again; a full disk closes all lanes.
 */
export class MinerWorker {
  readonly #modules: MinerWorkerModules
  readonly #lanes: OpenLane[] = []
  readonly #closed = new AbortController()
  readonly #loops: Promise<void>[] = []
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(modules: MinerWorkerModules) {
    this.#modules = modules
  }

  /** Warms an engine up and takes work for it; without success the lane stays closed for now. */
  async open<V>(lane: WorkerLane<V>): Promise<void> {
    const { workers } = this.#modules
    const entry: OpenLane = {
      kind: lane.kind,
      ready: (signal) => lane.runner.ready(signal),
      close: () => lane.runner.close(),
      remote: lane.remote ?? false,
      broken: 0,
      doubts: 0,
      restsUntilMs: Number.NEGATIVE_INFINITY,
      restMs: 0,
    }
    const reason = await this.#whyNotReady(entry)
    using limit = new Deadline(READY_TIMEOUT_MS, this.#closed.signal)
    const most = await lane.runner.capacity?.(limit.signal)
    // More than the devices can run would be promised places that are none.
    const slots = Math.max(1, Math.min(lane.slots, most ?? lane.slots))
    const task = (job: JobContext<unknown>) => this.#task(lane, entry, job)
    await workers.work(lane.kind, slots, task, reason)
    this.#lanes.push(entry)
  }

  /** Starts the looks after disk, engines and working files. */
  start(): void {
    const { clock, log } = this.#modules
    const onError = (error: unknown) =>
      log.warn(
        { event: 'worker.check-failed', reason: describeError(error) },
        'a check of the worker failed',
      )
    this.#loops.push(
      runEvery({ clock, signal: this.#closed.signal, everyMs: HEALTH_EVERY_MS, onError }, () =>
        this.#check(),
      ),
    )
  }

  /** Takes nothing new, waits `graceMs` for what runs, sends the rest back to the queue. */
  async close(graceMs: number): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.#loops)
    await this.#modules.workers.close(graceMs)
    for (const lane of this.#lanes) await lane.close()
    await this.#modules.workspace.close()
  }

  async #task<V>(
    lane: WorkerLane<V>,
    entry: OpenLane,
    job: JobContext<unknown>,
  ): Promise<TaskResult> {
    const { log, clock } = this.#modules
    const { videos } = lane.schema.parse(job.payload)
    const outcomes: VideoOutcome[] = []
    const errors: unknown[] = []
    for (const [index, video] of videos.entries()) {
      const leftMs = (job.expiresAtMs - clock.now()) / (videos.length - index)
      try {
        outcomes.push(await this.#video(lane, video, job, index, videos.length, leftMs))
        Object.assign(entry, { broken: 0, doubts: 0, restMs: 0 })
      } catch (error) {
        if (job.signal.aborted) throw error
        errors.push(error)
        outcomes.push(await this.#failed(lane.kind, entry, job, index, error))
      }
    }
    const good = outcomes.filter((outcome) => outcome.ok).length
    if (good > 0) {
      log.info(
        { event: 'task.worked', kind: lane.kind, jobId: job.id, good, of: videos.length },
        'task worked',
      )
      return { videos: outcomes }
    }
    throw this.#allFailed(outcomes, errors)
  }

  #video<V>(
    lane: WorkerLane<V>,
    video: V,
    job: JobContext<unknown>,
    index: number,
    count: number,
    leftMs: number,
  ): Promise<VideoOutcome> {
    const { workspace, metrics } = this.#modules
    return workspace.within(async (workDir) => {
      const outcome = await lane.runner.run(video, {
        jobId: job.id,
        hotkey: job.hotkey,
        workDir,
        signal: job.signal,
        leftMs,
        onProgress: (fraction) => job.progress((index + Math.min(1, fraction)) / count),
      })
      metrics?.videos.inc({ kind: lane.kind, code: 'OK' })
      return outcome
    })
  }

  async #failed(
    kind: JobKind,
    entry: OpenLane,
    job: JobContext<unknown>,
    index: number,
    error: unknown,
  ): Promise<VideoOutcome> {
    const { log, metrics } = this.#modules
    const code = codeOf(error)
    metrics?.videos.inc({ kind, code })
    log.warn(
      { event: 'video.failed', kind, jobId: job.id, taskId: job.taskId, index, code, err: error },
      'a video could not be done',
    )
    if (code === 'LIB_DISK_FULL') await this.#pause(entry, 'the disk is full')
    if (DOUBT_CODES.has(code)) entry.doubts += 1
    if (DOWN_CODES.has(code)) {
      entry.broken += 1
      if (entry.broken >= BROKEN_LIMIT) await this.#rest(entry, `the engine is down: ${code}`)
    }
    return { ok: false, code, message: describeError(error) }
  }

  /** One reason speaks for itself; several are told together. Any that may pass is worth another try. */
  #allFailed(outcomes: readonly VideoOutcome[], errors: readonly unknown[]): unknown {
    const [only] = errors
    if (errors.length === 1) return only
    const codes = [...new Set(outcomes.map((outcome) => (outcome.ok ? 'OK' : outcome.code)))].join(
      ' ',
    )
    const retryable = errors.some((error) => error instanceof SubnetError && error.retryable)
    return new MinerError(
      { code: 'MINER_TASK_FAILED', codes },
      `no video could be done: ${codes}`,
      {
        cause: only,
        retryable,
      },
    )
  }

  async #pause(lane: OpenLane, reason: string): Promise<void> {
    await this.#modules.workers.pause(lane.kind, reason)
  }

  /** The first time until the next check, then longer: a trial is easier than work. */
  async #rest(lane: OpenLane, reason: string): Promise<void> {
    if (this.#modules.workers.isPaused(lane.kind)) return
    lane.restsUntilMs = this.#modules.clock.monotonic() + lane.restMs
    lane.restMs = Math.min(MAX_REST_MS, 2 * Math.max(HEALTH_EVERY_MS, lane.restMs))
    await this.#pause(lane, reason)
  }

  /** Opens what was closed for a reason that has passed, closes what cannot work. */
  async #check(): Promise<void> {
    const { workspace, workers, metrics, clock } = this.#modules
    const freeBytes = await workspace.freeBytes()
    metrics?.free.set(freeBytes)
    const full = await workspace.requireSpace().then(
      () => undefined,
      (error: unknown) => describeError(error),
    )
    for (const lane of this.#lanes) {
      if (full !== undefined) await this.#pause(lane, full)
      else if (workers.isPaused(lane.kind)) {
        if (clock.monotonic() < lane.restsUntilMs) continue
        if ((await this.#whyNotReady(lane)) !== undefined) continue
        // After a rest one failure is enough for the next.
        lane.broken = Math.min(lane.broken, BROKEN_LIMIT - 1)
        lane.doubts = 0
        await workers.resume(lane.kind)
      } else if (lane.remote || lane.doubts >= BROKEN_LIMIT) {
        lane.doubts = 0
        const reason = await this.#whyNotReady(lane)
        if (reason !== undefined) await this.#pause(lane, reason)
      }
    }
    if (clock.monotonic() - this.#sweptMs < SWEEP_EVERY_MS) return
    this.#sweptMs = clock.monotonic()
    metrics?.temp.set(await workspace.sweep())
  }

  async #whyNotReady(lane: OpenLane): Promise<string | undefined> {
    const { log } = this.#modules
    try {
      using limit = new Deadline(READY_TIMEOUT_MS, this.#closed.signal)
      await lane.ready(limit.signal)
      return undefined
    } catch (error) {
      if (this.#closed.signal.aborted) return 'closing'
      const reason = describeError(error)
      log.warn({ event: 'engine.unready', kind: lane.kind, reason }, 'an engine is not ready')
      return reason
    }
  }
}

function codeOf(error: unknown): string {
  if (error instanceof SubnetError) return error.code
  return isAbort(error) ? 'ABORTED' : 'INTERNAL'
}
