/** Kinds of work; one lane each. */
export const JOB_KINDS = ['upscale', 'compress', 'generate', 'speech'] as const
export type JobKind = (typeof JOB_KINDS)[number]

export type JobState = 'waiting' | 'active' | 'completed' | 'failed' | 'cancelled'

export interface JobRequest<P = unknown> {
  readonly kind: JobKind
  /** The caller's verified hotkey. */
  readonly hotkey: string
  /** The caller's own id of the task; the same (hotkey, taskId) twice is one job. */
  readonly taskId: string
  readonly payload: P
  /** Total stake of the caller in TAO: orders the lane, with ageing so that none starves. */
  readonly stake: number
  /** Milliseconds from now after which nobody wants the answer. */
  readonly timeoutMs: number
}

export interface JobView<R = unknown> {
  readonly id: string
  readonly kind: JobKind
  readonly state: JobState
  /** 0–1, monotone. */
  readonly progress: number
  /** Estimated milliseconds to completion, when known. */
  readonly etaMs: number | undefined
  readonly result: R | undefined
  readonly error: { readonly code: string; readonly message: string } | undefined
}

export interface Capacity {
  readonly available: boolean
  readonly active: number
  readonly waiting: number
  readonly maxConcurrent: number
  readonly estimatedWaitMs: number
}

/** What a handler sees of the queue. */
export interface JobQueue {
  /**
   * Adds a job, or returns the existing one of the same (hotkey, taskId).
   * @throws QueueError QUEUE_FULL (with retryAfterMs), QUEUE_UNAVAILABLE
   */
  enqueue<P>(request: JobRequest<P>): Promise<{ readonly id: string; readonly duplicate: boolean }>
  view(id: string): Promise<JobView | undefined>
  /** Resolves when the job has ended or rejects with the signal's reason. */
  wait(id: string, signal: AbortSignal): Promise<JobView>
  cancel(id: string): Promise<boolean>
  /** Drops a job that has ended, so that the same task may run anew. A job that has not ended stays. */
  forget(id: string): Promise<void>
  capacity(kind: JobKind): Promise<Capacity>
  close(): Promise<void>
}

/** What a worker's task gets. */
export interface JobContext<P> {
  readonly id: string
  readonly kind: JobKind
  readonly hotkey: string
  readonly taskId: string
  readonly payload: P
  /** Aborts on cancel, deadline, lost lock and shutdown. */
  readonly signal: AbortSignal
  readonly attempt: number
  /** Unix milliseconds after which nobody wants the answer; the signal aborts then. */
  readonly expiresAtMs: number
  /** 0–1 and, when the engine knows it, the time left. */
  progress(fraction: number, etaMs?: number): void
}

export type JobProcessor<P, R> = (job: JobContext<P>) => Promise<R>
