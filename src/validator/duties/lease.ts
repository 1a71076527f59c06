import { DONE, type Duty, type DutyResult } from '../duty.js'
import type { Lease } from '../state/lease.js'

/** Renews the lease well before it ends. */
export class LeaseDuty implements Duty {
  readonly name = 'lease'
  readonly everyMs = 20_000
  readonly deadlineMs = 10_000
  readonly #lease: Lease

  constructor(lease: Lease) {
    this.#lease = lease
  }

  async run(): Promise<DutyResult> {
    await this.#lease.take()
    return DONE
  }
}
