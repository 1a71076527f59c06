import {
  afterFailure,
  afterSuccess,
  NO_PENALTY,
  type PenaltyState,
} from '../../scoring/formulas/penalty.js'
import { blockTimeMs } from '../ledger-state.js'
import type { Outcome } from '../outcomes.js'

interface Row {
  readonly hotkey: string
  readonly kind: string
  readonly outcome: Outcome
  readonly score: number
}

/**
 * Who is not asked for a while, by subnet 99's rules over what the rounds brought. Its clock is the
 * chain's and its memory the committed rounds, so that a restart changes nothing and validators agree.
 */
export class Penalties {
  readonly #states = new Map<string, PenaltyState>()

  /** Adds a round's rows; rounds in the order of their blocks. */
  add(block: number, rows: readonly Row[]): void {
    for (const { hotkey, kind, outcome, score } of rows) {
      if (kind !== 'generation' || outcome === 'infrastructure') continue
      const state = this.#states.get(hotkey) ?? NO_PENALTY
      const good = outcome === 'scored' && score > 0
      const next = good ? afterSuccess(state) : afterFailure(state, blockTimeMs(block) / 1_000)
      this.#states.set(hotkey, next)
    }
  }

  /** Whether a miner may be asked in a round of this block. */
  mayAsk(hotkey: string, block: number): boolean {
    const state = this.#states.get(hotkey) ?? NO_PENALTY
    return blockTimeMs(block) / 1_000 >= state.penaltyUntil
  }
}
