import { setImmediate as turn } from 'node:timers/promises'
import { canonicalJson } from '../../lib/canonical.js'
import type { Clock } from '../../lib/clock.js'
import type { ScoreRecord } from '../../scoring/types.js'
import { ValidatorError } from '../errors.js'
import { countsForMiner, type Outcome } from '../outcomes.js'
import type { StateDatabase } from './open.js'

export interface RoundInfo {
  readonly roundId: string
  readonly netuid: number
  readonly kind: string
  readonly block: number
  readonly blockHash: string
  /** JSON-serialisable; enough to replay the round. */
  readonly plan: unknown
}

export interface ScoreRow {
  readonly hotkey: string
  readonly uid: number
  readonly kind: string
  readonly outcome: Outcome
  /** 0–1. */
  readonly score: number
  readonly quality?: number
  /** Compression: bytes out / bytes in. */
  readonly rate?: number
  readonly latencyMs?: number
  readonly contentSeconds?: number
  /** One sentence. */
  readonly reason: string
  readonly resultUrl?: string
  readonly record?: ScoreRecord
}

/** A committed score, as the ledger reads it. */
export interface HistoryEntry {
  readonly hotkey: string
  readonly uid: number
  readonly kind: string
  readonly outcome: Outcome
  readonly score: number
  readonly quality?: number
  readonly rate?: number
  readonly roundId: string
  readonly block: number
  readonly reason: string
  readonly createdAt: number
}

/** A committed round, for whoever charts or exports it. */
export interface CommittedRound {
  readonly roundId: string
  readonly kind: string
  readonly block: number
  readonly startedAt: number
  readonly endedAt: number
  readonly scores: readonly {
    readonly hotkey: string
    readonly uid: number
    readonly outcome: string
    readonly score: number
    readonly quality: number | null
    readonly rate: number | null
    readonly latencyMs: number | null
    readonly reason: string
    /** JSON ScoreRecord, when the answer was judged. */
    readonly record: string | null
  }[]
}

const ROWS_AT_ONCE = 16

function toRow(roundId: string, score: ScoreRow, now: number) {
  return {
    round_id: roundId,
    hotkey: score.hotkey,
    uid: score.uid,
    kind: score.kind,
    outcome: score.outcome,
    counts: countsForMiner(score.outcome) ? 1 : 0,
    score: score.score,
    quality: score.quality ?? null,
    rate: score.rate ?? null,
    latency_ms: score.latencyMs ?? null,
    content_seconds: score.contentSeconds ?? null,
    reason: score.reason,
    result_url: score.resultUrl ?? null,
    record: score.record === undefined ? null : JSON.stringify(score.record),
    created_at: now,
  }
}

/**
 * Rounds and their scores. A round's scores are written in the transaction that commits it: a crash
 * before leaves an open round, which the next start voids; a crash after changes nothing.
 */
export class RoundStore {
  readonly #db: StateDatabase
  readonly #clock: Pick<Clock, 'now'>

  constructor(db: StateDatabase, clock: Pick<Clock, 'now'>) {
    this.#db = db
    this.#clock = clock
  }

  /** Opens a round. False when it exists already, in whatever state: a round is played once. */
  async open(round: RoundInfo): Promise<boolean> {
    const inserted = await this.#db
      .insertInto('rounds')
      .values({
        round_id: round.roundId,
        netuid: round.netuid,
        kind: round.kind,
        block: round.block,
        block_hash: round.blockHash,
        status: 'open',
        plan: canonicalJson(round.plan),
        started_at: this.#clock.now(),
        ended_at: null,
      })
      .onConflict((conflict) => conflict.column('round_id').doNothing())
      .executeTakeFirst()
    return Number(inserted.numInsertedOrUpdatedRows ?? 0) === 1
  }

  /**
   * Writes all scores of an open round and closes it, whole or not at all.
   * @throws ValidatorError STATE_ROUND_CLOSED
   */
  async commit(roundId: string, scores: readonly ScoreRow[]): Promise<void> {
    const now = this.#clock.now()
    await this.#db.transaction().execute(async (trx) => {
      const closed = await trx
        .updateTable('rounds')
        .set({ status: 'committed', ended_at: now })
        .where('round_id', '=', roundId)
        .where('status', '=', 'open')
        .executeTakeFirst()
      if (Number(closed.numUpdatedRows) !== 1) {
        throw new ValidatorError(
          { code: 'STATE_ROUND_CLOSED', roundId },
          `round ${roundId} is not open`,
        )
      }
      for (let i = 0; i < scores.length; i += ROWS_AT_ONCE) {
        const rows = scores.slice(i, i + ROWS_AT_ONCE).map((score) => toRow(roundId, score, now))
        await trx.insertInto('scores').values(rows).execute()
        // The embedded database works in this thread: let others have it in between.
        await turn()
      }
    })
  }

  /** Voids rounds that a crash left open. Returns their ids. */
  async voidOpen(netuid: number): Promise<string[]> {
    const rows = await this.#db
      .updateTable('rounds')
      .set({ status: 'void', ended_at: this.#clock.now() })
      .where('status', '=', 'open')
      .where('netuid', '=', netuid)
      .returning('round_id')
      .execute()
    return rows.map((row) => row.round_id)
  }

  /** Voids one round, with everything it would have written. */
  async abandon(roundId: string): Promise<void> {
    await this.#db
      .updateTable('rounds')
      .set({ status: 'void', ended_at: this.#clock.now() })
      .where('round_id', '=', roundId)
      .where('status', '=', 'open')
      .execute()
  }

  /** Committed scores that count, newest first, at most `perMiner` for each hotkey and kind. */
  async history(netuid: number, perMiner: number): Promise<HistoryEntry[]> {
    const ranked = this.#db
      .selectFrom('scores')
      .innerJoin('rounds', 'rounds.round_id', 'scores.round_id')
      .where('rounds.netuid', '=', netuid)
      .where('rounds.status', '=', 'committed')
      .where('scores.counts', '=', 1)
      .select((eb) => [
        'scores.id',
        'scores.hotkey',
        'scores.uid',
        'scores.kind',
        'scores.outcome',
        'scores.score',
        'scores.quality',
        'scores.rate',
        'rounds.block',
        'scores.round_id',
        'scores.reason',
        'scores.created_at',
        eb.fn
          .agg<number>('row_number')
          .over((over) =>
            over.partitionBy(['scores.hotkey', 'scores.kind']).orderBy('scores.id', 'desc'),
          )
          .as('rank'),
      ])
    const rows = await this.#db
      .selectFrom(ranked.as('ranked'))
      .selectAll()
      .where('rank', '<=', perMiner)
      .orderBy('id', 'desc')
      .execute()
    return rows.map((row) => ({
      hotkey: row.hotkey,
      uid: row.uid,
      kind: row.kind,
      outcome: row.outcome as Outcome,
      score: row.score,
      ...(row.quality === null ? {} : { quality: row.quality }),
      ...(row.rate === null ? {} : { rate: row.rate }),
      block: row.block,
      roundId: row.round_id,
      reason: row.reason,
      createdAt: row.created_at,
    }))
  }

  /** Committed rounds with their scores, in the order they ended, after a given one. */
  async committedAfter(
    netuid: number,
    after: { readonly endedAt: number; readonly roundId: string },
    limit: number,
  ): Promise<CommittedRound[]> {
    const rows = await this.#db
      .selectFrom('rounds')
      .select(['round_id', 'kind', 'block', 'started_at', 'ended_at'])
      .where('netuid', '=', netuid)
      .where('status', '=', 'committed')
      .where((eb) =>
        eb.or([
          eb('ended_at', '>', after.endedAt),
          eb.and([eb('ended_at', '=', after.endedAt), eb('round_id', '>', after.roundId)]),
        ]),
      )
      .orderBy('ended_at')
      .orderBy('round_id')
      .limit(limit)
      .execute()
    if (rows.length === 0) return []
    const scores = await this.#db
      .selectFrom('scores')
      .select([
        'round_id',
        'hotkey',
        'uid',
        'outcome',
        'score',
        'quality',
        'rate',
        'latency_ms',
        'reason',
        'record',
      ])
      .where(
        'round_id',
        'in',
        rows.map((row) => row.round_id),
      )
      .orderBy('id')
      .execute()
    return rows.map((row) => ({
      ...{ roundId: row.round_id, kind: row.kind, block: row.block },
      ...{ startedAt: row.started_at, endedAt: row.ended_at ?? row.started_at },
      scores: scores
        .filter(({ round_id }) => round_id === row.round_id)
        .map(({ round_id: _, latency_ms, record, ...score }) => ({
          ...score,
          latencyMs: latency_ms,
          record,
        })),
    }))
  }

  /** Deletes committed rounds and their scores that ended before `beforeMs`. Returns how many rounds. */
  async prune(beforeMs: number): Promise<number> {
    return this.#db.transaction().execute(async (trx) => {
      const old = trx.selectFrom('rounds').select('round_id').where('ended_at', '<', beforeMs)
      await trx.deleteFrom('scores').where('round_id', 'in', old).execute()
      const gone = await trx
        .deleteFrom('rounds')
        .where('ended_at', '<', beforeMs)
        .executeTakeFirst()
      return Number(gone.numDeletedRows)
    })
  }
}
