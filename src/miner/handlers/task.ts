import { type AxonRoute, type HandlerContext, serve } from '../../axon/index.js'
import { must } from '../../lib/errors.js'
import {
  Dummy,
  type GenerationStatus,
  MinerCapacity,
  TaskCancellation,
  TaskStatusCheck,
} from '../../protocol/index.js'
import { jobId } from '../../queue/index.js'
import type { Capacity, JobKind, JobView } from '../../queue/types.js'
import { refusing } from '../admission.js'
import { TASK_NAMES } from '../offer.js'
import { generationTaskId, jobTaskId } from '../tasks.js'
import type { HandlerModules } from './modules.js'

/** Questions about tasks and about the miner itself. */
export function taskRoutes(modules: HandlerModules): AxonRoute[] {
  const { queue, offer } = modules
  const ask = <T>(question: () => Promise<T>) => refusing(question, () => {})
  return [
    serve({
      definition: TaskStatusCheck,
      handler: ({ task_id }, context) =>
        ask(async () => {
          const view = await find(modules, task_id, context)
          return view === undefined ? { error_message: 'no such task of yours' } : statusOf(view)
        }),
    }),
    serve({
      definition: TaskCancellation,
      handler: ({ task_id }, context) =>
        ask(async () => {
          const view = await find(modules, task_id, context)
          if (view === undefined) return { success: false, message: 'no such task of yours' }
          const success = await queue.cancel(view.id)
          return { success, message: success ? 'cancelled' : 'the task has ended' }
        }),
    }),
    serve({
      definition: MinerCapacity,
      handler: () =>
        ask(async () => {
          const kinds = [...offer.kinds]
          const lanes = await Promise.all(kinds.map((kind) => queue.capacity(kind)))
          return wireCapacity(kinds.map((kind, i) => [kind, must(lanes[i], kind)]))
        }),
    }),
    serve({ definition: Dummy, handler: ({ dummy_input }) => ({ dummy_output: dummy_input * 2 }) }),
  ]
}

/** A caller's task by its own id, whichever synapse brought it. */
async function find(
  { queue }: HandlerModules,
  taskId: string | undefined,
  context: HandlerContext,
): Promise<JobView | undefined> {
  if (taskId === undefined || taskId === '') return undefined
  const { hotkey } = context.caller
  const generation = await queue.view(jobId(hotkey, generationTaskId(taskId)))
  return generation ?? (await queue.view(jobId(hotkey, jobTaskId(taskId))))
}

/** How a job's state reads on the wire; progress in percent, time in seconds. */
export function statusOf(view: JobView): {
  status: GenerationStatus
  progress: number
  estimated_time?: number
  error_message?: string
} {
  const late = view.error?.code === 'QUEUE_DEADLINE'
  const status = (
    {
      waiting: 'pending',
      active: 'processing',
      completed: 'completed',
      failed: late ? 'timeout' : 'failed',
      cancelled: 'failed',
    } as const
  )[view.state]
  return {
    status,
    progress: Math.floor(view.progress * 100),
    ...(view.etaMs === undefined ? {} : { estimated_time: Math.ceil(view.etaMs / 1_000) }),
    ...(view.error === undefined ? {} : { error_message: view.error.code }),
  }
}

/**
 * Every lane for itself, and one answer for those who read no lanes. They are subnet 99's validators, who
 * want to know of generation; a miner that generates nothing answers for all its lanes together.
 */
export function wireCapacity(lanes: readonly (readonly [JobKind, Capacity])[]) {
  const asked = lanes.filter(([kind]) => kind === 'generate')
  const together = asked.length > 0 ? asked : lanes
  return {
    ...roomOf(together.map(([, lane]) => lane)),
    lanes: Object.fromEntries(lanes.map(([kind, lane]) => [TASK_NAMES[kind], roomOf([lane])])),
  }
}

/** Available when any of the lanes is, soonest as the soonest. */
function roomOf(lanes: readonly Capacity[]) {
  const open = lanes.filter((lane) => lane.available)
  const waits = (open.length > 0 ? open : lanes).map((lane) => lane.estimatedWaitMs)
  const sum = (of: (lane: Capacity) => number) => lanes.reduce((total, lane) => total + of(lane), 0)
  return {
    available: open.length > 0,
    queue_size: sum((lane) => lane.active + lane.waiting),
    estimated_wait_time: Math.ceil(Math.min(...waits, Number.MAX_SAFE_INTEGER) / 1_000),
    max_concurrent_tasks: sum((lane) => lane.maxConcurrent),
  }
}
