import type { Capacity } from './types.js'

/** What one worker process says of one lane. */
export interface WorkerReport {
  readonly slots: number
  /** Mean milliseconds of its last jobs; 0 when it has none yet. */
  readonly meanMs: number
}

/** Assumed length of a job until a worker has measured one. */
export const UNMEASURED_JOB_MS = 30_000

/** Mean length of a job over workers, weighted by their slots. */
export function meanJobMs(workers: readonly WorkerReport[]): number {
  const measured = workers.filter((worker) => worker.meanMs > 0)
  const slots = measured.reduce((sum, worker) => sum + worker.slots, 0)
  if (slots === 0) return UNMEASURED_JOB_MS
  return measured.reduce((sum, worker) => sum + worker.meanMs * worker.slots, 0) / slots
}

/** Expected milliseconds until a job with `ahead` others before it (active ones included) starts. */
export function waitMs(ahead: number, slots: number, jobMs: number): number {
  if (slots <= 0) return jobMs
  return Math.max(0, Math.ceil((ahead - slots + 1) / slots)) * jobMs
}

/** What the lane can truthfully promise. */
export function laneCapacity(
  lane: { readonly active: number; readonly waiting: number; readonly maxWaiting: number },
  workers: readonly WorkerReport[],
): Capacity {
  const maxConcurrent = workers.reduce((sum, worker) => sum + worker.slots, 0)
  const used = lane.active + lane.waiting
  return {
    available: maxConcurrent > 0 && used < maxConcurrent + lane.maxWaiting,
    active: lane.active,
    waiting: lane.waiting,
    maxConcurrent,
    estimatedWaitMs: Math.round(waitMs(used, maxConcurrent, meanJobMs(workers))),
  }
}

/** Exponential mean of job lengths; `previousMs` 0 means none yet. */
export function nextMeanMs(previousMs: number, sampleMs: number): number {
  return previousMs === 0 ? sampleMs : previousMs * 0.8 + sampleMs * 0.2
}

/** Milliseconds left by the share done so far, or undefined while too little is done to tell. */
export function etaFromProgress(elapsedMs: number, fraction: number): number | undefined {
  if (fraction < 0.02 || elapsedMs <= 0) return undefined
  return Math.round((elapsedMs * (1 - fraction)) / fraction)
}
