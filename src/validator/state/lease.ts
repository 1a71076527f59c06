import type { Clock } from '../../lib/clock.js'
import { ValidatorError } from '../errors.js'
import { isGone } from './holder.js'
import type { StateDatabase } from './open.js'

const LEASE_MS = 90_000
const LOOK_EVERY_MS = 2_000

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
   * Takes the lease for a validator that starts. One that a crash left behind is waited for, for as
   * long as it lasts; one that is renewed meanwhile is another validator's.
   * @throws ValidatorError VALIDATOR_LEASE_HELD
   */
  async takeAtStart(signal: AbortSignal, onWait: (why: string) => void): Promise<void> {
    let endsAtMs: number | undefined
    for (;;) {
      try {
        return await this.take()
      } catch (error) {
        if (!(error instanceof ValidatorError) || error.data.code !== 'VALIDATOR_LEASE_HELD')
          throw error
        const nowEndsAtMs = this.#clock.now() + error.data.expiresInMs
        if (endsAtMs === undefined) onWait(error.message)
        else if (nowEndsAtMs > endsAtMs + LOOK_EVERY_MS) throw error
        endsAtMs ??= nowEndsAtMs
      }
      await this.#clock.sleep(LOOK_EVERY_MS, signal)
    }
  }

  /**
   * Takes or renews the lease.
   * @throws ValidatorError VALIDATOR_LEASE_HELD
   */
  async take(): Promise<void> {
    if (await this.#takeFrom(this.#holder)) return
    const row = await this.#db
      .selectFrom('leases')
      .selectAll()
      .where('name', '=', this.#name)
      .executeTakeFirst()
    if (row !== undefined && isGone(row.holder) && (await this.#takeFrom(row.holder))) return
    const now = this.#clock.now()
    const expiresInMs = Math.max(0, (row?.expires_at ?? now) - now)
    throw new ValidatorError(
      { code: 'VALIDATOR_LEASE_HELD', holder: row?.holder ?? 'unknown', expiresInMs },
      `another validator holds ${this.#name} (${row?.holder}); its lease ends in ${Math.ceil(expiresInMs / 1000)} s`,
    )
  }

  /** Takes it when it is free, over, or held by `holder`. */
  async #takeFrom(holder: string): Promise<boolean> {
    const now = this.#clock.now()
    const taken = await this.#db
      .insertInto('leases')
      .values({ name: this.#name, holder: this.#holder, expires_at: now + LEASE_MS })
      .onConflict((conflict) =>
        conflict
          .column('name')
          .doUpdateSet({ holder: this.#holder, expires_at: now + LEASE_MS })
          .where((eb) =>
            eb.or([eb('leases.expires_at', '<', now), eb('leases.holder', '=', holder)]),
          ),
      )
      .executeTakeFirst()
    return Number(taken.numInsertedOrUpdatedRows ?? 0) === 1
  }

  async release(): Promise<void> {
    await this.#db
      .deleteFrom('leases')
      .where('name', '=', this.#name)
      .where('holder', '=', this.#holder)
      .execute()
  }
}
