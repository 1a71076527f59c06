import type { Clock } from '../../lib/clock.js'
import { liquidation } from '../../scoring/formulas/pools.js'
import type { StateDatabase } from './open.js'

/** What one neuron earned in an epoch and held at its end, in alpha. */
export interface Earned {
  readonly uid: number
  readonly hotkey: string
  readonly emission: number
  readonly alphaStake: number
}

/** Epochs that are kept; ten are looked at. */
const KEPT_EPOCHS = 100
const WINDOW_EPOCHS = 10

/** Emission and stake of every neuron, once per epoch: what shows who sells and who keeps. */
export class EmissionStore {
  readonly #db: StateDatabase
  readonly #clock: Pick<Clock, 'now'>
  readonly #netuid: number

  constructor(db: StateDatabase, clock: Pick<Clock, 'now'>, netuid: number) {
    this.#db = db
    this.#clock = clock
    this.#netuid = netuid
  }

  /** Writes an epoch once; a second time changes nothing. Forgets what nobody looks at any more. */
  async record(epoch: number, earned: readonly Earned[]): Promise<void> {
    if (earned.length === 0) return
    await this.#db.transaction().execute(async (trx) => {
      await trx
        .insertInto('emission_snapshots')
        .values(
          earned.map(({ uid, hotkey, emission, alphaStake }) => ({
            netuid: this.#netuid,
            ...{ uid, epoch, hotkey, emission },
            alpha_stake: alphaStake,
            created_at: this.#clock.now(),
          })),
        )
        .onConflict((conflict) => conflict.columns(['netuid', 'epoch', 'uid']).doNothing())
        .execute()
      await trx
        .deleteFrom('emission_snapshots')
        .where('netuid', '=', this.#netuid)
        .where('epoch', '<', epoch - KEPT_EPOCHS)
        .execute()
    })
  }

  /** Share of its recent emission that each hotkey kept, 0–1; those of too short a history are absent. */
  async retained(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#db
      .selectFrom('emission_snapshots')
      .select(['hotkey', 'epoch', 'emission', 'alpha_stake'])
      .where('netuid', '=', this.#netuid)
      .orderBy('epoch', 'desc')
      .execute()
    const newestFirst = new Map<string, { alpha: number; emission: number }[]>()
    for (const { hotkey, emission, alpha_stake } of rows) {
      const own = newestFirst.get(hotkey) ?? []
      if (own.length < WINDOW_EPOCHS) own.push({ alpha: alpha_stake, emission })
      newestFirst.set(hotkey, own)
    }
    const kept = [...newestFirst].flatMap(([hotkey, own]) => {
      const { retained } = liquidation(own.reverse())
      return retained === undefined ? [] : [[hotkey, retained] as const]
    })
    return new Map(kept)
  }
}
