import { deadline, SystemClock } from '#src/lib/clock.js'
import { SubnetError } from '#src/lib/errors.js'
import { withResolvers } from '#src/lib/resources.js'
import { laneCapacity } from '#src/queue/estimate.js'
import { jobId, QueueError } from '#src/queue/index.js'
import { lanePriority } from '#src/queue/priority.js'
import type {
  Capacity,
  JobKind,
  JobProcessor,
  JobQueue,
  JobRequest,
  JobState,
  JobView,
} from '#src/queue/types.js'

interface Entry {
  readonly id: string
  readonly request: JobRequest
  readonly order: number
  readonly expiresAtMs: number
  readonly stop: AbortController
  readonly ended: Promise<void>
  readonly end: () => void
  state: JobState
  progress: number
  attempt: number
  result: unknown
  error: { code: string; message: string } | undefined
}

interface Lane {
  readonly slots: number
  readonly processor: JobProcessor<unknown, unknown>
}

/** The queue in this process's memory: same promises as the real one, except to survive. */
export class MemoryQueue implements JobQueue {
  readonly #jobs = new Map<string, Entry>()
  readonly #lanes = new Map<JobKind, Lane>()
  readonly #clock = new SystemClock()
  readonly #startMs = this.#clock.now()
  readonly #options: { readonly maxWaiting: number; readonly attempts: number }

  constructor(options: { readonly maxWaiting?: number; readonly attempts?: number } = {}) {
    this.#options = { maxWaiting: options.maxWaiting ?? 5, attempts: options.attempts ?? 3 }
  }

  async work<P, R>(kind: JobKind, slots: number, processor: JobProcessor<P, R>): Promise<void> {
    this.#lanes.set(kind, { slots, processor: processor as JobProcessor<unknown, unknown> })
    this.#pump(kind)
  }

  async enqueue<P>(request: JobRequest<P>): Promise<{ id: string; duplicate: boolean }> {
    const id = jobId(request.hotkey, request.taskId)
    if (this.#jobs.has(id)) return { id, duplicate: true }
    const { kind } = request
    const capacity = this.#capacity(kind)
    if (capacity.maxConcurrent === 0) {
      throw new QueueError({ code: 'QUEUE_NO_WORKER', kind, retryAfterMs: 30_000 }, 'no worker')
    }
    if (!capacity.available) {
      throw new QueueError({ code: 'QUEUE_FULL', kind, retryAfterMs: 1_000 }, 'the lane is full')
    }
    const nowMs = this.#clock.now()
    const { promise, resolve } = withResolvers<void>()
    this.#jobs.set(id, {
      id,
      request,
      order: lanePriority({
        nowMs,
        laneStartMs: this.#startMs,
        stake: request.stake,
        maxWaitMs: 60_000,
      }),
      expiresAtMs: nowMs + request.timeoutMs,
      stop: new AbortController(),
      ended: promise,
      end: () => resolve(),
      state: 'waiting',
      progress: 0,
      attempt: 0,
      result: undefined,
      error: undefined,
    })
    this.#pump(kind)
    return { id, duplicate: false }
  }

  async view(id: string): Promise<JobView | undefined> {
    const job = this.#jobs.get(id)
    if (job === undefined) return undefined
    const { state, progress, result, error } = job
    return { id, kind: job.request.kind, state, progress, etaMs: undefined, result, error }
  }

  async wait(id: string, signal: AbortSignal): Promise<JobView> {
    signal.throwIfAborted()
    const job = this.#jobs.get(id)
    if (job === undefined) throw new QueueError({ code: 'QUEUE_BAD_JOB', id }, 'no such job')
    const { promise, reject } = withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([job.ended, promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
    return (await this.view(id)) as JobView
  }

  async cancel(id: string): Promise<boolean> {
    const job = this.#jobs.get(id)
    if (job === undefined || (job.state !== 'waiting' && job.state !== 'active')) return false
    const error = { code: 'QUEUE_CANCELLED', message: 'the job was cancelled' } as const
    const wasWaiting = job.state === 'waiting'
    this.#end(job, 'cancelled', { error })
    if (!wasWaiting) job.stop.abort(new QueueError({ code: 'QUEUE_CANCELLED' }, error.message))
    return true
  }

  async forget(id: string): Promise<void> {
    const state = this.#jobs.get(id)?.state
    if (state !== 'waiting' && state !== 'active') this.#jobs.delete(id)
  }

  async capacity(kind: JobKind): Promise<Capacity> {
    return this.#capacity(kind)
  }

  #capacity(kind: JobKind): Capacity {
    const jobs = [...this.#jobs.values()].filter((job) => job.request.kind === kind)
    const lane = this.#lanes.get(kind)
    return laneCapacity(
      {
        active: jobs.filter((job) => job.state === 'active').length,
        waiting: jobs.filter((job) => job.state === 'waiting').length,
        maxWaiting: this.#options.maxWaiting,
      },
      lane === undefined ? [] : [{ slots: lane.slots, meanMs: 0 }],
    )
  }

  async close(): Promise<void> {
    this.#lanes.clear()
    for (const job of this.#jobs.values()) {
      if (job.state === 'active') {
        job.stop.abort(new QueueError({ code: 'QUEUE_WORKER_STOPPED' }, 'closed'))
      }
    }
  }

  #pump(kind: JobKind): void {
    const lane = this.#lanes.get(kind)
    if (lane === undefined) return
    const jobs = [...this.#jobs.values()].filter((job) => job.request.kind === kind)
    const free = lane.slots - jobs.filter((job) => job.state === 'active').length
    const waiting = jobs
      .filter((job) => job.state === 'waiting')
      .sort((a, b) => a.order - b.order)
      .slice(0, Math.max(0, free))
    for (const job of waiting) {
      job.state = 'active'
      void this.#run(job, lane)
    }
  }

  async #run(job: Entry, lane: Lane): Promise<void> {
    const { request } = job
    job.attempt += 1
    const leftMs = job.expiresAtMs - this.#clock.now()
    const late = deadline(leftMs)
    try {
      if (leftMs <= 0) throw late.reason
      const result = await lane.processor({
        id: job.id,
        kind: request.kind,
        hotkey: request.hotkey,
        taskId: request.taskId,
        payload: request.payload,
        signal: AbortSignal.any([job.stop.signal, late]),
        attempt: job.attempt,
        expiresAtMs: job.expiresAtMs,
        progress: (fraction) => {
          job.progress = Math.max(job.progress, Math.min(1, fraction))
        },
      })
      if (job.state === 'active') this.#end(job, 'completed', { result })
    } catch (thrown) {
      if (job.state !== 'active') return
      const again = thrown instanceof SubnetError && thrown.retryable && !late.aborted
      if (again && job.attempt < this.#options.attempts) {
        job.state = 'waiting'
      } else {
        const code = late.aborted
          ? 'QUEUE_DEADLINE'
          : thrown instanceof SubnetError
            ? thrown.code
            : 'INTERNAL'
        const message = thrown instanceof Error ? thrown.message : String(thrown)
        this.#end(job, 'failed', { error: { code, message } })
      }
    } finally {
      this.#pump(request.kind)
    }
  }

  #end(job: Entry, state: JobState, outcome: { result?: unknown; error?: Entry['error'] }): void {
    job.state = state
    job.result = outcome.result
    job.error = outcome.error
    if (state === 'completed') job.progress = 1
    job.end()
  }
}
