import type { Clock } from '../../lib/clock.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { RoundStore } from '../state/rounds.js'

const DAY_MS = 86_400_000
/** No round takes as long: a challenge that old belongs to a process that was killed. */
const PAYLOAD_DAYS = 1

export interface RetentionModules {
  readonly rounds: Pick<RoundStore, 'prune'>
  readonly payloads: { sweep(beforeMs: number): Promise<number> }
  readonly clock: Clock
}

/** Deletes rounds and scores that nobody will ask for any more, and challenges that a crash left. */
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
    const { rounds, payloads, clock } = this.#modules
    const pruned = await rounds.prune(clock.now() - this.#days * DAY_MS)
    const swept = await payloads.sweep(clock.now() - PAYLOAD_DAYS * DAY_MS)
    return pruned + swept > 0 ? DONE : skipped('nothing is old enough')
  }
}
