import { SystemClock } from '../lib/clock.js'
import type { Hotkey } from '../protocol/index.js'
import { averages, LEDGER_RULES, type LedgerRules } from '../scoring/ledger.js'
import type { TaskKind } from '../scoring/types.js'
import { blockTimeMs, LedgerState } from './ledger-state.js'
import type { StateDatabase } from './state/open.js'
import { RoundStore } from './state/rounds.js'

export interface MinerReport {
  readonly uid: number
  readonly hotkey: string
  readonly kind: string
  /** Running score, what weights are made of. */
  readonly running: number
  readonly averageScore: number
  /** Bonus and penalties of its last ten answers, and how many there were of each. */
  readonly multipliers: ReturnType<typeof averages>['multipliers']
  readonly quality: number | undefined
  readonly tasks: number
  readonly successRatio: number
}

export interface StatusReport {
  readonly rounds: Readonly<Record<string, number>>
  readonly tasks: Readonly<Record<string, number>>
  readonly lastRound:
    | { readonly id: string; readonly kind: string; readonly endedAt: number }
    | undefined
  readonly lastWeights:
    | { readonly block: number; readonly epoch: number; readonly state: string }
    | undefined
  readonly miners: readonly MinerReport[]
}

export interface Reason {
  readonly roundId: string
  readonly kind: string
  readonly outcome: string
  readonly score: number
  readonly reason: string
  readonly at: number
}

/** How a validator stands, from its database alone: it need not be running. */
export async function statusReport(
  db: StateDatabase,
  netuid: number,
  rules: LedgerRules = LEDGER_RULES,
): Promise<StatusReport> {
  const count = async (table: 'rounds' | 'tasks') => {
    const rows = await db
      .selectFrom(table)
      .select((eb) => ['status', eb.fn.countAll<number>().as('n')])
      .groupBy('status')
      .execute()
    return Object.fromEntries(rows.map((row) => [row.status, Number(row.n)]))
  }
  const last = await db
    .selectFrom('rounds')
    .select(['round_id', 'kind', 'block', 'ended_at'])
    .where('netuid', '=', netuid)
    .where('status', '=', 'committed')
    .orderBy('ended_at', 'desc')
    .limit(1)
    .executeTakeFirst()
  const weights = await db
    .selectFrom('weight_sets')
    .select(['block', 'epoch', 'state'])
    .where('netuid', '=', netuid)
    .orderBy('block', 'desc')
    .limit(1)
    .executeTakeFirst()
  return {
    rounds: await count('rounds'),
    tasks: await count('tasks'),
    lastRound:
      last === undefined
        ? undefined
        : { id: last.round_id, kind: last.kind, endedAt: last.ended_at ?? 0 },
    lastWeights: weights,
    miners: await minerReports(db, netuid, last?.block ?? 0, rules),
  }
}

async function minerReports(
  db: StateDatabase,
  netuid: number,
  block: number,
  rules: LedgerRules,
): Promise<MinerReport[]> {
  const rounds = new RoundStore(db, new SystemClock())
  const history = await rounds.history(netuid, rules.keepRows)
  const ledger = new LedgerState(rules)
  await ledger.load(rounds, netuid)
  const gone = new Set(
    (
      await db
        .selectFrom('miners')
        .select('hotkey')
        .where('netuid', '=', netuid)
        .where('is_active', '=', 0)
        .execute()
    ).map(({ hotkey }) => hotkey),
  )
  const seen = new Map(
    history
      .filter(({ hotkey }) => !gone.has(hotkey))
      .map(({ hotkey, uid, kind }) => [`${hotkey} ${kind}`, { hotkey, uid, kind }]),
  )
  return [...seen.values()]
    .map(({ hotkey, uid, kind }) => {
      const of = averages(
        ledger.current,
        hotkey as Hotkey,
        kind as TaskKind,
        blockTimeMs(block),
        rules,
      )
      return {
        uid,
        hotkey,
        kind,
        running: of.accumulated,
        averageScore: of.score,
        multipliers: of.multipliers,
        quality: of.quality,
        tasks: of.tasks,
        successRatio: of.successRatio,
      }
    })
    .sort((a, b) => a.kind.localeCompare(b.kind) || b.running - a.running)
}

/**
 * Why a uid has the scores it has: the last answers of who has it now, newest first; of who had it,
 * where nobody does.
 */
export async function reasonsOf(
  db: StateDatabase,
  netuid: number,
  uid: number,
  limit: number,
): Promise<Reason[]> {
  const owner = await db
    .selectFrom('miners')
    .select('hotkey')
    .where('netuid', '=', netuid)
    .where('uid', '=', uid)
    .where('is_active', '=', 1)
    .executeTakeFirst()
  const rows = await db
    .selectFrom('scores')
    .innerJoin('rounds', 'rounds.round_id', 'scores.round_id')
    .select([
      'scores.round_id',
      'scores.kind',
      'scores.outcome',
      'scores.score',
      'scores.reason',
      'scores.created_at',
    ])
    .where('rounds.netuid', '=', netuid)
    .where((eb) =>
      owner === undefined ? eb('scores.uid', '=', uid) : eb('scores.hotkey', '=', owner.hotkey),
    )
    .orderBy('scores.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    roundId: row.round_id,
    kind: row.kind,
    outcome: row.outcome,
    score: row.score,
    reason: row.reason,
    at: row.created_at,
  }))
}
