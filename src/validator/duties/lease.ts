import { DONE, type Duty, type DutyResult } from '../duty.js'
import { ValidatorError } from '../errors.js'
import type { Lease } from '../state/lease.js'

/**
 * Renews the lease well before it ends. A validator that was held up for longer than it lasts (its
 * machine slept, its database was away) may find that another has it: then this one must end.
 */
export class LeaseDuty implements Duty {
  readonly name = 'lease'
  readonly everyMs = 20_000
  readonly deadlineMs = 10_000
  readonly #lease: Pick<Lease, 'take'>
  readonly #onLost: (error: ValidatorError) => void

  constructor(lease: Pick<Lease, 'take'>, onLost: (error: ValidatorError) => void) {
    this.#lease = lease
    this.#onLost = onLost
  }

  async run(): Promise<DutyResult> {
    try {
      await this.#lease.take()
    } catch (error) {
      if (error instanceof ValidatorError && error.code === 'VALIDATOR_LEASE_HELD')
        this.#onLost(error)
      throw error
    }
    return DONE
  }
}
