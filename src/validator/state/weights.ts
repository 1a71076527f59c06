import type { LedgerQuery, WeightEntry, WeightLedger } from '../../chain/index.js'
import type { StateDatabase } from './open.js'

/** The chain client's record of weights, in the validator's database. */
export class DatabaseWeightLedger implements WeightLedger {
  readonly #db: StateDatabase

  constructor(db: StateDatabase) {
    this.#db = db
  }

  async put(entry: WeightEntry): Promise<void> {
    const { id, hotkey, netuid, mechanism, epoch, block, state } = entry
    const changed = { state, entry: JSON.stringify(entry) }
    await this.#db
      .insertInto('weight_sets')
      .values({ id, hotkey, netuid, mechanism, epoch, block, ...changed })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(changed))
      .execute()
  }

  async list(
    { hotkey, netuid, mechanism }: LedgerQuery,
    limit: number,
  ): Promise<readonly WeightEntry[]> {
    const rows = await this.#db
      .selectFrom('weight_sets')
      .select('entry')
      .where('hotkey', '=', hotkey)
      .where('netuid', '=', netuid)
      .where('mechanism', '=', mechanism)
      .orderBy('block', 'desc')
      .limit(limit)
      .execute()
    // Written by put alone, in the same shape.
    return rows.map((row) => JSON.parse(row.entry) as WeightEntry)
  }

  /** The database is closed by whoever opened it. */
  async close(): Promise<void> {}
}
