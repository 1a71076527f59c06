import type { Hotkey } from '../protocol/units.js'
import { EMPTY_LEDGER, type Ledger, type LedgerRules, record } from '../scoring/ledger.js'
import type { TaskKind } from '../scoring/types.js'
import { countsForMiner } from './outcomes.js'
import type { RoundStore, ScoreRow } from './state/rounds.js'

/** Milliseconds per block: the ledger's clock is the chain's, so that two validators agree on decay. */
const BLOCK_MS = 12_000

/** Ledger time of a block. */
export const blockTimeMs = (block: number): number => block * BLOCK_MS

/** A running score holds less than 1e-12 of what came before its last 100 scores. */
const RUNNING_ROWS = 100

/** The ledger of committed scores, rebuilt from the database at start and kept in step after. */
export class LedgerState {
  readonly #rules: LedgerRules
  readonly #replayRows: number
  #ledger: Ledger = EMPTY_LEDGER

  /** `minTasks`: scores that a miner needs before it is paid, which must be counted again as well. */
  constructor(rules: LedgerRules, minTasks = 1) {
    this.#rules = rules
    this.#replayRows = Math.max(rules.keepRows, RUNNING_ROWS, minTasks)
  }

  get current(): Ledger {
    return this.#ledger
  }

  /** Replays what the database holds, oldest first: running scores depend on the order. */
  async load(rounds: RoundStore, netuid: number): Promise<void> {
    const rows = await rounds.history(netuid, this.#replayRows)
    for (const row of rows.reverse()) this.#record(row.roundId, row.block, row)
  }

  /** Adds a committed round. */
  add(roundId: string, block: number, scores: readonly ScoreRow[]): void {
    for (const score of scores)
      if (countsForMiner(score.outcome)) this.#record(roundId, block, score)
  }

  #record(
    roundId: string,
    block: number,
    row: Pick<ScoreRow, 'hotkey' | 'kind' | 'score' | 'quality' | 'rate'>,
  ): void {
    this.#ledger = record(
      this.#ledger,
      {
        hotkey: row.hotkey as Hotkey,
        task: row.kind as TaskKind,
        taskId: roundId,
        atMs: blockTimeMs(block),
        origin: roundId.startsWith('organic-') ? 'organic' : 'synthetic',
        outcome: {
          kind: 'scored',
          score: row.score,
          ...(row.quality === undefined ? {} : { quality: row.quality }),
          ...(row.rate === undefined ? {} : { rate: row.rate }),
        },
      },
      this.#rules,
    )
  }
}
