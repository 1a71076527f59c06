import { SubnetError } from '../lib/errors.js'
import type { JobKind } from './types.js'

/** What the queue refuses or fails with. */
export class QueueError extends SubnetError<
  /** Every place of the lane is taken; send the task again after `retryAfterMs`. */
  | { code: 'QUEUE_FULL'; kind: JobKind; retryAfterMs: number }
  /** The jobs ahead would take longer than the caller waits; send the task again after `retryAfterMs`. */
  | { code: 'QUEUE_LATE'; kind: JobKind; retryAfterMs: number }
  /** No live worker takes this kind now; start one or send the task again after `retryAfterMs`. */
  | { code: 'QUEUE_NO_WORKER'; kind: JobKind; retryAfterMs: number }
  /** Redis does not answer; the task was not accepted, send it again when Redis is back. */
  | { code: 'QUEUE_UNAVAILABLE' }
  /** The Redis server is older than the queue needs; upgrade it. */
  | { code: 'QUEUE_REDIS_VERSION'; version: string }
  /** Redis may evict keys, and a job is a key; set `maxmemory-policy noeviction`. */
  | { code: 'QUEUE_REDIS_POLICY'; policy: string }
  /** Redis keeps nothing on disk, so its restart would lose jobs; set `appendonly yes` or allow a volatile queue. */
  | { code: 'QUEUE_REDIS_VOLATILE' }
  /** The caller or the operator cancelled the job. */
  | { code: 'QUEUE_CANCELLED' }
  /** The job's time was over before its work was; nobody wants the answer any more. */
  | { code: 'QUEUE_DEADLINE' }
  /** The job took its worker down again and again; its input is suspect and it is not tried any more. */
  | { code: 'QUEUE_POISON'; stalls: number }
  /** Another worker took the job over; this run's result is dropped. */
  | { code: 'QUEUE_LOST_LOCK' }
  /** This worker shuts down; the job goes back to its lane. */
  | { code: 'QUEUE_WORKER_STOPPED' }
  /** A job in Redis has a shape this version does not know; it was written by another version. */
  | { code: 'QUEUE_BAD_JOB'; id: string }
> {}
