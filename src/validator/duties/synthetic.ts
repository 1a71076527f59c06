import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { LedgerState } from '../ledger-state.js'
import type { Network } from '../network.js'
import { type PlanSettings, planRound, type RoundKind, roundBlock } from '../plan.js'
import type { ChallengeSource } from '../ports.js'
import type { RoundRunner } from '../round.js'
import type { MinerStore } from '../state/miners.js'

/** How a warrant names the kinds of rounds. */
const WARRANTED: Readonly<Record<RoundKind, string>> = {
  compression: 'compress',
  upscaling: 'upscale',
}

export interface SyntheticOptions {
  readonly everyMs: number
  /** Rounds that take longer are void. */
  readonly deadlineMs: number
  readonly kinds: readonly RoundKind[]
  /** A round opens at every block that is a multiple of this. */
  readonly everyBlocks: number
  /** Length of a challenge unless every miner takes less. */
  readonly seconds: number
  readonly settings: PlanSettings
}

export interface SyntheticModules {
  readonly network: Network
  readonly miners: MinerStore
  readonly corpus: ChallengeSource
  readonly runner: RoundRunner
  readonly ledger: LedgerState
}

/**
 * Opens the synthetic rounds: at each boundary block one of every kind, drawn from that block's
 * hash. A validator that was away joins at the current boundary; one that restarts within a round
 * finds it played or void and waits for the next.
 */
export class SyntheticDuty implements Duty {
  readonly name = 'synthetic'
  readonly everyMs: number
  readonly deadlineMs: number
  readonly #options: SyntheticOptions
  readonly #modules: SyntheticModules
  #lastBoundary = -1

  constructor(options: SyntheticOptions, modules: SyntheticModules) {
    this.everyMs = options.everyMs
    this.deadlineMs = options.deadlineMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network } = this.#modules
    const head = network.head
    if (head === undefined) return skipped('the chain has not been read yet')
    const block = roundBlock(head.number, this.#options.everyBlocks)
    if (block <= this.#lastBoundary) return skipped('the round of this boundary was played')
    const blockHash = await network.chain.blockHash(block as typeof head.number, { signal })
    if (blockHash === undefined) return skipped('the boundary block is not known')
    // Kinds one after the other: judging is the bottleneck, and miners that do both get both in time.
    for (const kind of this.#options.kinds) await this.#playKind(kind, { block, blockHash }, signal)
    this.#lastBoundary = block
    return DONE
  }

  async #playKind(
    kind: RoundKind,
    at: { block: number; blockHash: string },
    signal: AbortSignal,
  ): Promise<void> {
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
    if (able.length === 0) return
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
    if (result.outcome === 'committed') ledger.add(plan.roundId, at.block, result.scores)
  }
}
