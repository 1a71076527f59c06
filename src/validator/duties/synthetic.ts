import { DONE, type DutyResult, skipped } from '../duty.js'
import type { LedgerState } from '../ledger-state.js'
import { type PlanSettings, planRound, type RoundKind } from '../plan.js'
import type { ChallengeSource } from '../ports.js'
import type { RoundRunner } from '../round.js'
import type { RoundBlock } from '../round-life.js'
import type { MinerStore } from '../state/miners.js'
import { RoundDuty, type RoundDutyModules, type RoundDutyOptions } from './round-duty.js'

/** How a warrant names the kinds of rounds. */
const WARRANTED: Readonly<Record<RoundKind, string>> = {
  compression: 'compress',
  upscaling: 'upscale',
}

export interface SyntheticOptions extends RoundDutyOptions {
  readonly kinds: readonly RoundKind[]
  /** Length of a challenge unless every miner takes less. */
  readonly seconds: number
  readonly settings: PlanSettings
}

export interface SyntheticModules extends RoundDutyModules {
  readonly miners: MinerStore
  readonly corpus: ChallengeSource
  readonly runner: RoundRunner
  readonly ledger: LedgerState
}

/** Opens the synthetic rounds: at each boundary block one of every kind, drawn from that block's hash. */
export class SyntheticDuty extends RoundDuty {
  readonly name = 'synthetic'
  readonly #options: SyntheticOptions
  readonly #modules: SyntheticModules

  constructor(options: SyntheticOptions, modules: SyntheticModules) {
    super(options, modules)
    this.#options = options
    this.#modules = modules
  }

  protected async play(at: RoundBlock, signal: AbortSignal): Promise<DutyResult> {
    // Kinds one after the other: judging is the bottleneck, and miners that do both get both in time.
    let played = false
    for (const kind of this.#options.kinds)
      if (await this.#playKind(kind, at, signal)) played = true
    return played ? DONE : skipped('no miner does the work of these rounds, or they were played')
  }

  /** Whether there was a round to play. */
  async #playKind(kind: RoundKind, at: RoundBlock, signal: AbortSignal): Promise<boolean> {
    const { network, miners, corpus, runner, ledger } = this.#modules
    const known = new Map((await miners.active()).map((miner) => [miner.hotkey, miner]))
    // The kind of a miner that was always silent is unknown: upscaling, as the reference assumes.
    const able = network
      .miners()
      .filter(({ hotkey }) => (known.get(hotkey)?.kinds ?? ['upscale']).includes(WARRANTED[kind]))
      .map((miner) => {
        const maxSeconds = known.get(miner.hotkey)?.maxLengthSeconds
        return maxSeconds === undefined ? miner : { ...miner, maxSeconds }
      })
    if (able.length === 0) return false
    const plan = planRound({
      netuid: network.netuid,
      kind,
      ...at,
      clips: corpus.clips,
      miners: able.map(({ hotkey }) => hotkey),
      seconds: this.#options.seconds,
      settings: this.#options.settings,
    })
    const result = await runner.play(plan, at, able, signal)
    if (result.outcome !== 'committed') return false
    ledger.add(plan.roundId, at.block, result.scores)
    return true
  }
}
