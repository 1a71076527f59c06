import { createHash } from 'node:crypto'
import type { WeightsResult } from '../../chain/types.js'
import type { Clock } from '../../lib/clock.js'
import type { StateDatabase } from './open.js'

export interface WeightVector {
  readonly uids: readonly number[]
  /** Parallel to `uids`; positive, summing to 1. */
  readonly weights: readonly number[]
}

/** Every attempt to set weights and what came of it. */
export class WeightSetStore {
  readonly #db: StateDatabase
  readonly #clock: Clock
  readonly #netuid: number

  constructor(db: StateDatabase, clock: Clock, netuid: number) {
    this.#db = db
    this.#clock = clock
    this.#netuid = netuid
  }

  /** Writes an attempt before it is made. Returns its id. */
  async begin(epoch: number, vector: WeightVector): Promise<number> {
    const { uids, weights } = {
      uids: JSON.stringify(vector.uids),
      weights: JSON.stringify(vector.weights),
    }
    const row = await this.#db
      .insertInto('weight_sets')
      .values({
        netuid: this.#netuid,
        epoch,
        vector_hash: createHash('sha256').update(`${uids}${weights}`).digest('hex'),
        uids,
        weights,
        method: null,
        extrinsic_hash: null,
        block: null,
        outcome: 'submitting',
        detail: null,
        created_at: this.#clock.now(),
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    return row.id
  }

  async finish(id: number, result: WeightsResult): Promise<void> {
    await this.#db
      .updateTable('weight_sets')
      .set({
        outcome: result.outcome,
        method: result.method,
        ...(result.outcome === 'included'
          ? { extrinsic_hash: result.extrinsicHash, block: result.block }
          : {}),
        ...(result.outcome === 'refused' ? { detail: `${result.error}: ${result.message}` } : {}),
      })
      .where('id', '=', id)
      .execute()
  }

  async fail(id: number, detail: string): Promise<void> {
    await this.#db
      .updateTable('weight_sets')
      .set({ outcome: 'failed', detail })
      .where('id', '=', id)
      .execute()
  }

  /** The vector that last went on chain. */
  async lastIncluded(): Promise<
    (WeightVector & { readonly epoch: number; readonly block: number }) | undefined
  > {
    const row = await this.#db
      .selectFrom('weight_sets')
      .selectAll()
      .where('netuid', '=', this.#netuid)
      .where('outcome', '=', 'included')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (row === undefined) return undefined
    return {
      uids: JSON.parse(row.uids),
      weights: JSON.parse(row.weights),
      epoch: row.epoch,
      block: row.block ?? 0,
    }
  }

  /** Newest first. */
  async recent(limit: number) {
    return this.#db
      .selectFrom('weight_sets')
      .selectAll()
      .where('netuid', '=', this.#netuid)
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
  }
}
