import type { Clock } from '../../lib/clock.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { RoundStore } from '../state/rounds.js'
import type { TaskStore } from '../state/tasks.js'

const DAY_MS = 86_400_000
/** No round takes as long: a challenge that old belongs to a process that was killed. */
const PAYLOAD_DAYS = 1

export interface RetentionModules {
  readonly rounds: Pick<RoundStore, 'prune'>
  readonly tasks: Pick<TaskStore, 'prune'>
  readonly payloads: { sweep(beforeMs: number): Promise<number> }
  readonly clock: Clock
}

/** Deletes rounds, scores and users' tasks of long ago, and challenges that a crash left. */
export class RetentionDuty implements Duty {
  readonly name = 'retention'
  readonly everyMs = 3_600_000
  readonly deadlineMs = 600_000
  readonly #days: number
  readonly #modules: RetentionModules

  constructor(days: number, modules: RetentionModules) {
    this.#days = days
    this.#modules = modules
  }

  async run(): Promise<DutyResult> {
    const { rounds, tasks, payloads, clock } = this.#modules
    const before = clock.now() - this.#days * DAY_MS
    const pruned = (await rounds.prune(before)) + (await tasks.prune(before))
    const swept = await payloads.sweep(clock.now() - PAYLOAD_DAYS * DAY_MS)
    return pruned + swept > 0 ? DONE : skipped('nothing is old enough')
  }
}
