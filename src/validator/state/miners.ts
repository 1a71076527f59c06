import type { Clock } from '../../lib/clock.js'
import type { StateDatabase } from './open.js'
import type { MinersTable } from './schema.js'

export interface KnownMiner {
  readonly hotkey: string
  readonly uid: number
  readonly coldkey: string
  /** From the last warrant; undefined while the miner has been silent. */
  readonly kinds: readonly string[] | undefined
  readonly maxLengthSeconds: number | undefined
  /** When it last answered a warrant, Unix milliseconds. */
  readonly warrantedAt: number | undefined
}

export interface SyncedNeuron {
  readonly hotkey: string
  readonly uid: number
  readonly coldkey: string
  readonly registeredAt: number
}

/**
 * Miners by hotkey: what a uid earned stays with the key that earned it. A hotkey that registers
 * again starts without its former warrant.
 */
export class MinerStore {
  readonly #db: StateDatabase
  readonly #clock: Clock
  readonly #netuid: number

  constructor(db: StateDatabase, clock: Clock, netuid: number) {
    this.#db = db
    this.#clock = clock
    this.#netuid = netuid
  }

  /** Brings the table in line with the metagraph. */
  async sync(neurons: readonly SyncedNeuron[]): Promise<void> {
    const now = this.#clock.now()
    await this.#db.transaction().execute(async (trx) => {
      const known = new Map(
        (
          await trx.selectFrom('miners').selectAll().where('netuid', '=', this.#netuid).execute()
        ).map((row) => [row.hotkey, row]),
      )
      const seen = new Set<string>()
      for (const neuron of neurons) {
        seen.add(neuron.hotkey)
        const row = known.get(neuron.hotkey)
        if (row === undefined) {
          await trx
            .insertInto('miners')
            .values({
              hotkey: neuron.hotkey,
              netuid: this.#netuid,
              uid: neuron.uid,
              coldkey: neuron.coldkey,
              registered_at: neuron.registeredAt,
              kinds: null,
              max_length_seconds: null,
              warranted_at: null,
              is_active: 1,
              created_at: now,
              last_active_at: null,
            })
            .execute()
        } else if (
          row.uid !== neuron.uid ||
          row.registered_at !== neuron.registeredAt ||
          row.is_active !== 1
        ) {
          const fresh = row.registered_at !== neuron.registeredAt
          await trx
            .updateTable('miners')
            .set({
              uid: neuron.uid,
              coldkey: neuron.coldkey,
              registered_at: neuron.registeredAt,
              is_active: 1,
              ...(fresh ? { kinds: null, max_length_seconds: null, warranted_at: null } : {}),
            })
            .where('netuid', '=', this.#netuid)
            .where('hotkey', '=', neuron.hotkey)
            .execute()
        }
      }
      const gone = [...known.keys()].filter((hotkey) => !seen.has(hotkey))
      if (gone.length > 0) {
        await trx
          .updateTable('miners')
          .set({ is_active: 0 })
          .where('netuid', '=', this.#netuid)
          .where('hotkey', 'in', gone)
          .execute()
      }
    })
  }

  /** Records what a miner said it handles. */
  async warrant(hotkey: string, kinds: readonly string[]): Promise<void> {
    const now = this.#clock.now()
    await this.#update(hotkey, { kinds: kinds.join(','), warranted_at: now, last_active_at: now })
  }

  /** Records the longest clip that a miner said it takes. */
  async takesLength(hotkey: string, seconds: number): Promise<void> {
    await this.#update(hotkey, { max_length_seconds: seconds, last_active_at: this.#clock.now() })
  }

  async #update(hotkey: string, change: Partial<MinersTable>): Promise<void> {
    await this.#db
      .updateTable('miners')
      .set(change)
      .where('netuid', '=', this.#netuid)
      .where('hotkey', '=', hotkey)
      .execute()
  }

  /** Miners that are registered now. */
  async active(): Promise<KnownMiner[]> {
    const rows = await this.#db
      .selectFrom('miners')
      .selectAll()
      .where('netuid', '=', this.#netuid)
      .where('is_active', '=', 1)
      .orderBy('uid')
      .execute()
    return rows.map((row) => ({
      hotkey: row.hotkey,
      uid: row.uid,
      coldkey: row.coldkey,
      kinds: row.kinds === null ? undefined : row.kinds.split(',').filter(Boolean),
      maxLengthSeconds: row.max_length_seconds ?? undefined,
      warrantedAt: row.warranted_at ?? undefined,
    }))
  }
}
