import type { Clock } from '../lib/clock.js'
import { describeError, isAbort } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { tempFolder } from '../lib/temp-folder.js'
import type { ValidatorMetrics } from './metrics.js'
import type { Outcome } from './outcomes.js'
import type { RoundInfo, RoundStore, ScoreRow } from './state/rounds.js'

/** The block that opens a round. */
export type RoundBlock = Pick<RoundInfo, 'block' | 'blockHash'>

/** How one round ended. */
export type RoundResult =
  | { readonly outcome: 'committed'; readonly scores: readonly ScoreRow[] }
  | { readonly outcome: 'played-before' }

export interface RoundLifeModules {
  readonly rounds: RoundStore
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: ValidatorMetrics
}

/**
 * The life of a round of any kind: opened once, scored in a folder of its own, committed whole. What
 * `scores` throws voids the round and is thrown on.
 */
export async function playRound(
  { rounds, clock, log, metrics }: RoundLifeModules,
  round: RoundInfo,
  { miners, tempDir }: { readonly miners: number; readonly tempDir?: string | undefined },
  scores: (dir: string) => Promise<readonly ScoreRow[]>,
): Promise<RoundResult> {
  const { roundId, kind } = round
  if (!(await rounds.open(round))) return { outcome: 'played-before' }
  log.info({ event: 'round.opened', roundId, miners }, 'opened a round')
  const started = clock.monotonic()
  try {
    await using dir = await tempFolder('subreel-round-', tempDir)
    const rows = excused(await scores(dir.path))
    if (rows.every(({ outcome }) => outcome === 'infrastructure') && rows.length > 0)
      log.error(
        { event: 'round.unanswered', roundId, miners: rows.length },
        'no result came from anybody: look at our own network and store',
      )
    await rounds.commit(roundId, rows)
    const seconds = (clock.monotonic() - started) / 1000
    metrics.roundSeconds.observe({ kind }, seconds)
    log.info(
      { event: 'round.committed', roundId, miners: rows.length, seconds },
      'committed a round',
    )
    return { outcome: 'committed', scores: rows }
  } catch (error) {
    await rounds.abandon(roundId)
    if (!isAbort(error))
      log.error({ event: 'round.voided', roundId, error }, 'voided a round: the fault is ours')
    throw error
  }
}

/** Outcomes of miners from which nothing came. */
const NOTHING_CAME: ReadonlySet<Outcome> = new Set([
  'no_answer',
  'refused',
  'empty_url',
  'download_failed',
  'infrastructure',
])
/** From so many miners, something would have come. */
const MANY = 3

/**
 * Where nothing came from any of several miners, our own network, store or standing on the subnet is at
 * fault, rather than all of them: then nobody is lowered.
 */
export function excused(rows: readonly ScoreRow[]): readonly ScoreRow[] {
  if (rows.length < MANY || !rows.every(({ outcome }) => NOTHING_CAME.has(outcome))) return rows
  return rows.map((row) => ({
    ...row,
    outcome: 'infrastructure',
    reason: `no result came from anybody, so the fault may be ours; of this miner: ${row.reason}`,
  }))
}

/** Makes the rows of one miner's part of a round, each counted and logged as it is made. */
export function rowsOf(
  { log, metrics }: Pick<RoundLifeModules, 'log' | 'metrics'>,
  roundId: string,
  base: Pick<ScoreRow, 'hotkey' | 'uid' | 'kind' | 'contentSeconds'>,
) {
  const { uid, kind } = base
  const row = (
    outcome: Outcome,
    score: number,
    reason: string,
    extra: Partial<ScoreRow> = {},
  ): ScoreRow => {
    metrics.outcomes.inc({ kind, outcome })
    log.info({ event: 'task.scored', roundId, uid, outcome, score, reason }, 'scored an answer')
    return { ...base, outcome, score, reason, ...extra }
  }
  /** The judge itself failed, which lowers nobody. */
  const unjudged = (error: unknown, extra: Partial<ScoreRow>): ScoreRow => {
    log.error({ event: 'task.judge-failed', roundId, uid, error }, 'the judge failed on an answer')
    return row('infrastructure', 0, `the judge failed: ${describeError(error)}`, extra)
  }
  return Object.assign(row, { unjudged })
}
