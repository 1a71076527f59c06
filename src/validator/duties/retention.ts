import type { Clock } from '../../lib/clock.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { RoundStore } from '../state/rounds.js'

const DAY_MS = 86_400_000

/** Deletes rounds and scores that nobody will ask for any more. */
export class RetentionDuty implements Duty {
  readonly name = 'retention'
  readonly everyMs = 3_600_000
  readonly #rounds: RoundStore
  readonly #clock: Clock
  readonly #days: number

  constructor(rounds: RoundStore, clock: Clock, days: number) {
    this.#rounds = rounds
    this.#clock = clock
    this.#days = days
  }

  async run(): Promise<DutyResult> {
    const pruned = await this.#rounds.prune(this.#clock.now() - this.#days * DAY_MS)
    return pruned > 0 ? DONE : skipped('nothing is old enough')
  }
}
