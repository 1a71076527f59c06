import type { OrganicJobs, OrganicState } from '../../queue/index.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { Task, TaskStatus, TaskStore } from '../state/tasks.js'

/** What a user sees of a task's status. */
const PUBLIC: Readonly<Record<TaskStatus, OrganicState>> = {
  pending: 'queued',
  assigned: 'processing',
  processing: 'processing',
  completed: 'completed',
  scored: 'completed',
  // The user has the answer already; what the sample found out is between us and the miner.
  verification_failed: 'completed',
  failed: 'failed',
  timeout: 'failed',
}

const BATCH = 32

/** Takes users' jobs from the gateway's queue into the tasks, and tells users how they go. */
export class GatewayFeed implements Duty {
  readonly name = 'gateway-feed'
  readonly everyMs = 500
  readonly deadlineMs = 30_000
  readonly #jobs: OrganicJobs
  readonly #tasks: TaskStore

  constructor(jobs: OrganicJobs, tasks: TaskStore) {
    this.#jobs = jobs
    this.#tasks = tasks
    tasks.onMove((task) => this.#tell(task))
  }

  async run(): Promise<DutyResult> {
    let taken = 0
    for (; taken < BATCH; taken += 1) {
      const job = await this.#jobs.take()
      if (job === undefined) break
      const { id: taskId, kind, params, timeoutSeconds, client, priority } = job
      const task = { taskId, kind, params, timeoutSeconds, client, priority }
      await this.#tasks.add({ ...task, origin: 'organic' })
      // Acknowledged only now: a crash before leaves it to be taken again, and adding twice is adding once.
      await this.#jobs.acknowledge(taskId)
    }
    return taken > 0 ? DONE : skipped('no job waits at the gateway')
  }

  async #tell(task: Task): Promise<void> {
    await this.#jobs.update(task.taskId, {
      state: PUBLIC[task.status],
      ...(task.resultUrl === undefined ? {} : { resultUrl: task.resultUrl }),
      ...(task.errorCode === undefined ? {} : { error: task.errorCode }),
    })
  }
}
