import type { MinerReport } from '../../scoring/formulas/consensus.js'
import { reportConfidence } from '../../scoring/formulas/consensus.js'
import type { ReportDocument } from '../consensus/document.js'
import type { StateDatabase } from './open.js'

/** A report of one miner in one kind of work, as stored. */
export interface StoredReport extends MinerReport {
  readonly hotkey: string
  readonly kind: string
}

const ROWS_AT_ONCE = 64

/** The newest report of each validator: one row per validator, miner and kind. */
export class ReportStore {
  readonly #db: StateDatabase
  readonly #netuid: number

  constructor(db: StateDatabase, netuid: number) {
    this.#db = db
    this.#netuid = netuid
  }

  /**
   * Replaces what the validator reported before, unless that was as new: a report said twice is one.
   * How sure a report is follows from its fields and its age when it came, not from what it says.
   */
  async put({ validator, atMs, reports }: ReportDocument, nowMs: number): Promise<boolean> {
    return this.#db.transaction().execute(async (trx) => {
      const newer = await trx
        .selectFrom('validator_reports')
        .select('at')
        .where('netuid', '=', this.#netuid)
        .where('validator', '=', validator)
        .where('at', '>=', atMs)
        .limit(1)
        .executeTakeFirst()
      if (newer !== undefined) return false
      await trx
        .deleteFrom('validator_reports')
        .where('netuid', '=', this.#netuid)
        .where('validator', '=', validator)
        .execute()
      const rows = reports.map(({ hotkey, kind, status }) => ({
        ...{ netuid: this.#netuid, validator, hotkey, kind, at: atMs },
        confidence: reportConfidence(Object.keys(status), Math.max(0, nowMs - atMs) / 1000),
        status: JSON.stringify(status),
      }))
      for (let i = 0; i < rows.length; i += ROWS_AT_ONCE) {
        await trx
          .insertInto('validator_reports')
          .values(rows.slice(i, i + ROWS_AT_ONCE))
          .execute()
      }
      return true
    })
  }

  /** Reports not older than `sinceMs`. */
  async since(sinceMs: number): Promise<StoredReport[]> {
    const rows = await this.#db
      .selectFrom('validator_reports')
      .selectAll()
      .where('netuid', '=', this.#netuid)
      .where('at', '>=', sinceMs)
      .orderBy('validator')
      .orderBy('hotkey')
      .orderBy('kind')
      .execute()
    return rows.map(({ validator, hotkey, kind, at, confidence, status }) => ({
      ...{ validator, hotkey, kind, confidence },
      atMs: at,
      // Written by put alone, in a shape that was checked.
      status: JSON.parse(status),
    }))
  }

  /** Forgets reports of before `beforeMs`. */
  async prune(beforeMs: number): Promise<number> {
    const gone = await this.#db
      .deleteFrom('validator_reports')
      .where('netuid', '=', this.#netuid)
      .where('at', '<', beforeMs)
      .executeTakeFirst()
    return Number(gone.numDeletedRows)
  }
}
