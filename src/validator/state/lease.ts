import type { Clock } from '../../lib/clock.js'
import { ValidatorError } from '../errors.js'
import type { StateDatabase } from './open.js'

const LEASE_MS = 90_000

/**
 * A lease in the database: two validators with one hotkey would set two weight vectors. Renewed by
 * its holder, free again when it expires.
 */
export class Lease {
  readonly #db: StateDatabase
  readonly #clock: Clock
  readonly #name: string
  readonly #holder: string

  constructor(db: StateDatabase, clock: Clock, name: string, holder: string) {
    this.#db = db
    this.#clock = clock
    this.#name = name
    this.#holder = holder
  }

  /**
   * Takes or renews the lease.
   * @throws ValidatorError VALIDATOR_LEASE_HELD
   */
  async take(): Promise<void> {
    const now = this.#clock.now()
    const taken = await this.#db
      .insertInto('leases')
      .values({ name: this.#name, holder: this.#holder, expires_at: now + LEASE_MS })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet({ holder: this.#holder, expires_at: now + LEASE_MS })
          .where((eb) =>
            eb.or([eb('leases.expires_at', '<', now), eb('leases.holder', '=', this.#holder)]),
          ),
      )
      .executeTakeFirst()
    if (Number(taken.numInsertedOrUpdatedRows ?? 0) === 1) return
    const row = await this.#db
      .selectFrom('leases')
      .selectAll()
      .where('name', '=', this.#name)
      .executeTakeFirst()
    const expiresInMs = Math.max(0, (row?.expires_at ?? now) - now)
    throw new ValidatorError(
      { code: 'VALIDATOR_LEASE_HELD', holder: row?.holder ?? 'unknown', expiresInMs },
      `another validator holds ${this.#name} (${row?.holder}); its lease ends in ${Math.ceil(expiresInMs / 1000)} s`,
    )
  }

  async release(): Promise<void> {
    await this.#db
      .deleteFrom('leases')
      .where('name', '=', this.#name)
      .where('holder', '=', this.#holder)
      .execute()
  }
}
