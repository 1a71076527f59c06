import { sql } from 'kysely'
import type { Clock } from '../../lib/clock.js'
import type { OrganicPriority } from '../../queue/index.js'
import { ValidatorError } from '../errors.js'
import type { StateDatabase } from './open.js'

/** Statuses of a task and where each may go. Terminal ones have no way out. */
export const TASK_EDGES = {
  pending: ['assigned', 'failed'],
  assigned: ['processing', 'pending', 'failed', 'timeout'],
  processing: ['completed', 'pending', 'failed', 'timeout'],
  completed: ['scored', 'verification_failed'],
  scored: [],
  verification_failed: [],
  failed: [],
  timeout: [],
} as const

export type TaskStatus = keyof typeof TASK_EDGES

/** Statuses in which nobody works on a task any more. */
const ENDED: readonly TaskStatus[] = [
  'completed',
  'scored',
  'verification_failed',
  'failed',
  'timeout',
]

export function mayMove(from: TaskStatus, to: TaskStatus): boolean {
  return (TASK_EDGES[from] as readonly TaskStatus[]).includes(to)
}

export interface NewTask {
  readonly taskId: string
  readonly kind: string
  readonly origin: 'organic' | 'synthetic'
  readonly params: unknown
  readonly timeoutSeconds: number
  readonly client?: string
  /** Orders what waits; miners never see it. Default normal. */
  readonly priority?: OrganicPriority
}

export interface Task {
  readonly taskId: string
  readonly kind: string
  readonly origin: string
  readonly status: TaskStatus
  readonly params: unknown
  readonly minerHotkey: string | undefined
  readonly resultUrl: string | undefined
  readonly errorCode: string | undefined
  readonly retryCount: number
  readonly timeoutSeconds: number
  readonly createdAt: number
}

export interface TaskChange {
  readonly detail?: string
  readonly minerHotkey?: string
  readonly resultUrl?: string
  readonly errorCode?: string
  readonly score?: number
  readonly metadata?: unknown
  readonly fileSize?: number
}

const PLACE = sql<number>`case priority
  when 'urgent' then 0 when 'high' then 1 when 'low' then 3 else 2 end`

/** Organic tasks, whoever inserted them. Every change of status is one edge and one history row. */
export class TaskStore {
  readonly #db: StateDatabase
  readonly #clock: Clock
  #listener: (task: Task) => Promise<void> = async () => {}

  constructor(db: StateDatabase, clock: Clock) {
    this.#db = db
    this.#clock = clock
  }

  /** Calls `listener` with the task after each move. What it throws is thrown by the mover. */
  onMove(listener: (task: Task) => Promise<void>): void {
    this.#listener = listener
  }

  /** Adds a pending task. False when the id exists: the same task twice is one task. */
  async add(task: NewTask): Promise<boolean> {
    const now = this.#clock.now()
    return this.#db.transaction().execute(async (trx) => {
      const inserted = await trx
        .insertInto('tasks')
        .values({
          task_id: task.taskId,
          kind: task.kind,
          origin: task.origin,
          params: JSON.stringify(task.params),
          timeout_seconds: task.timeoutSeconds,
          client: task.client ?? null,
          priority: task.priority ?? 'normal',
          created_at: now,
        })
        .onConflict((conflict) => conflict.column('task_id').doNothing())
        .executeTakeFirst()
      if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1) return false
      await trx
        .insertInto('task_history')
        .values({ task_id: task.taskId, status: 'pending', at: now, detail: null })
        .execute()
      return true
    })
  }

  async get(taskId: string): Promise<Task | undefined> {
    const row = await this.#db
      .selectFrom('tasks')
      .selectAll()
      .where('task_id', '=', taskId)
      .executeTakeFirst()
    return row === undefined ? undefined : toTask(row)
  }

  /** Pending tasks: the greatest priority first, and the oldest first within one. */
  async pending(limit: number): Promise<Task[]> {
    const rows = await this.#db
      .selectFrom('tasks')
      .selectAll()
      .where('status', '=', 'pending')
      .orderBy(PLACE)
      .orderBy('created_at')
      .orderBy('task_id')
      .limit(limit)
      .execute()
    return rows.map(toTask)
  }

  /**
   * Moves a task along one edge, with its history row, in one transaction. Of two movers one wins.
   * @throws ValidatorError STATE_EDGE_REFUSED
   */
  async move(
    taskId: string,
    from: TaskStatus,
    to: TaskStatus,
    change: TaskChange = {},
  ): Promise<void> {
    const refuse = (actual: string) =>
      new ValidatorError(
        { code: 'STATE_EDGE_REFUSED', taskId, from: actual, to },
        `task ${taskId} is ${actual} and cannot become ${to}`,
      )
    if (!mayMove(from, to)) throw refuse(from)
    const now = this.#clock.now()
    await this.#db.transaction().execute(async (trx) => {
      const row = await trx
        .selectFrom('tasks')
        .select(['status', 'last_sent_at', 'retry_count'])
        .where('task_id', '=', taskId)
        .executeTakeFirst()
      const moved = await trx
        .updateTable('tasks')
        .set({
          status: to,
          ...(change.minerHotkey === undefined ? {} : { miner_hotkey: change.minerHotkey }),
          ...(change.resultUrl === undefined ? {} : { result_url: change.resultUrl }),
          ...(change.errorCode === undefined ? {} : { error_code: change.errorCode }),
          ...(change.score === undefined ? {} : { score: change.score }),
          ...(change.metadata === undefined ? {} : { metadata: JSON.stringify(change.metadata) }),
          ...(change.fileSize === undefined ? {} : { file_size: change.fileSize }),
          ...(to === 'assigned' ? { last_sent_at: now } : {}),
          ...(to === 'pending' ? { retry_count: (row?.retry_count ?? 0) + 1 } : {}),
          ...(to === 'completed'
            ? { completed_at: now, completion_time: now - (row?.last_sent_at ?? now) }
            : {}),
        })
        .where('task_id', '=', taskId)
        .where('status', '=', from)
        .executeTakeFirst()
      if (Number(moved.numUpdatedRows) !== 1) throw refuse(row?.status ?? 'unknown')
      await trx
        .insertInto('task_history')
        .values({ task_id: taskId, status: to, at: now, detail: change.detail ?? null })
        .execute()
    })
    const moved = await this.get(taskId)
    if (moved !== undefined) await this.#listener(moved)
  }

  /** Statuses a task has had, oldest first. */
  async history(
    taskId: string,
  ): Promise<readonly { status: string; at: number; detail: string | undefined }[]> {
    const rows = await this.#db
      .selectFrom('task_history')
      .selectAll()
      .where('task_id', '=', taskId)
      .orderBy('id')
      .execute()
    return rows.map((row) => ({ status: row.status, at: row.at, detail: row.detail ?? undefined }))
  }

  /** Deletes tasks that were made before `beforeMs` and have ended, with their history. Returns how many. */
  async prune(beforeMs: number): Promise<number> {
    return this.#db.transaction().execute(async (trx) => {
      const old = trx
        .selectFrom('tasks')
        .select('task_id')
        .where('created_at', '<', beforeMs)
        .where('status', 'in', ENDED)
      await trx.deleteFrom('task_history').where('task_id', 'in', old).execute()
      const gone = await trx
        .deleteFrom('tasks')
        .where('created_at', '<', beforeMs)
        .where('status', 'in', ENDED)
        .executeTakeFirst()
      return Number(gone.numDeletedRows)
    })
  }

  /** Puts tasks that a crash left with a miner back to pending. */
  async recover(): Promise<number> {
    const rows = await this.#db
      .selectFrom('tasks')
      .select(['task_id', 'status'])
      .where('status', 'in', ['assigned', 'processing'])
      .execute()
    for (const row of rows) {
      await this.move(row.task_id, row.status as TaskStatus, 'pending', {
        detail: 'the validator restarted',
      })
    }
    return rows.length
  }
}

/** A row that somebody inserted may hold anything: what is no JSON fails its task alone. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

function toTask(row: {
  task_id: string
  kind: string
  origin: string
  status: string
  params: string
  miner_hotkey: string | null
  result_url: string | null
  error_code: string | null
  retry_count: number
  timeout_seconds: number
  created_at: number
}): Task {
  return {
    taskId: row.task_id,
    kind: row.kind,
    origin: row.origin,
    status: row.status as TaskStatus,
    params: parsed(row.params),
    minerHotkey: row.miner_hotkey ?? undefined,
    resultUrl: row.result_url ?? undefined,
    errorCode: row.error_code ?? undefined,
    retryCount: row.retry_count,
    timeoutSeconds: row.timeout_seconds,
    createdAt: row.created_at,
  }
}
