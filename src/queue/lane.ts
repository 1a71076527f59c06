import { z } from 'zod'
import type { WorkerReport } from './estimate.js'
import { JOB_KINDS, type JobKind } from './types.js'

/** Key prefix of all queues; the braces keep every key of the miner in one Redis Cluster slot. */
export const DEFAULT_PREFIX = '{subreel}'

/** How a lane behaves. Workers and producers of one Redis must agree. */
export interface QueueSettings {
  readonly prefix: string
  /** Jobs a lane holds beyond those running. */
  readonly maxWaiting: number
  /** A job is overtaken by better staked ones for no longer than this, in milliseconds. */
  readonly maxWaitMs: number
  /** How long a silent worker keeps a job, in milliseconds. */
  readonly lockMs: number
  /** How often abandoned jobs are looked for, in milliseconds. A dead worker's job restarts within lock + 2 × this. */
  readonly stalledEveryMs: number
  /** A job whose worker died less often is never taken for poisonous. */
  readonly maxStalls: number
  /** Tries of a job whose failures say they may be retried. */
  readonly attempts: number
  /** Delay before the second try, in milliseconds; doubles. */
  readonly backoffMs: number
  /** How long results and failures can be asked for, in milliseconds. */
  readonly keepMs: number
}

export const DEFAULT_SETTINGS: QueueSettings = {
  prefix: DEFAULT_PREFIX,
  maxWaiting: 5,
  maxWaitMs: 60_000,
  // Worst case from kill to restart: 6 s until the lock is gone, one sweep to notice: 8 s.
  lockMs: 6_000,
  stalledEveryMs: 2_000,
  maxStalls: 5,
  attempts: 3,
  backoffMs: 1_000,
  keepMs: 3_600_000,
}

/** Name of a lane's BullMQ queue. */
export const laneName = (kind: JobKind): string => `lane-${kind}`

/** Redis keys of our own, beside BullMQ's. */
export const laneKeys = (prefix: string, kind: JobKind) => ({
  workers: `${prefix}:workers:${kind}`,
  start: `${prefix}:lane-start:${kind}`,
  reserved: `${prefix}:reserved:${kind}`,
  deaths: `${prefix}:deaths:${kind}`,
})

/** Hash of what a job's run adds to BullMQ's record: fence, progress, eta, cancelled. */
export const recordKey = (prefix: string, id: string): string => `${prefix}:run:${id}`

/** Channel on which cancelled job ids are published. */
export const cancelChannel = (prefix: string): string => `${prefix}:cancel`

/** How old a worker's report may be, in milliseconds, before the worker counts as dead. */
export const REPORT_TTL_MS = 10_000
export const REPORT_EVERY_MS = 2_000

/** What a queued job carries. */
export const jobDataSchema = z.object({
  kind: z.enum(JOB_KINDS),
  hotkey: z.string().min(1),
  taskId: z.string(),
  payload: z.unknown(),
  expiresAtMs: z.number(),
})
export type JobData = z.infer<typeof jobDataSchema>

const reportSchema = z.object({
  slots: z.number().int().min(0),
  meanMs: z.number().min(0),
  atMs: z.number(),
})

export function encodeReport(report: WorkerReport, atMs: number): string {
  return JSON.stringify({ ...report, atMs })
}

/** Reports of the workers that are alive at `nowMs`, by worker id. */
export function liveReports(fields: Record<string, string>, nowMs: number): WorkerReport[] {
  return Object.values(fields)
    .map((text) => reportSchema.safeParse(JSON.parse(text)))
    .flatMap((parsed) => (parsed.success ? [parsed.data] : []))
    .filter((report) => nowMs - report.atMs < REPORT_TTL_MS)
}

const reasonSchema = z.object({ code: z.string(), message: z.string() })

/** BullMQ keeps one string per failure; ours holds the code as well. */
export const encodeReason = (code: string, message: string): string =>
  JSON.stringify({ code, message })

export function decodeReason(text: string | undefined): { code: string; message: string } {
  try {
    return reasonSchema.parse(JSON.parse(text ?? ''))
  } catch {
    return { code: 'QUEUE_BAD_JOB', message: text ?? 'no reason was recorded' }
  }
}
