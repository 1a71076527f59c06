import type { CorpusClip } from '../../corpus/index.js'
import type { WorkflowTemplate } from '../../workflows/index.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { Penalties } from '../generation/penalties.js'
import { planGeneration } from '../generation/plan.js'
import type { GenerationRound } from '../generation/round.js'
import type { LedgerState } from '../ledger-state.js'
import type { Network } from '../network.js'
import { roundBlock } from '../plan.js'
import type { MinerStore } from '../state/miners.js'

export interface GenerationDutyOptions {
  readonly everyMs: number
  /** Rounds that take longer are void. */
  readonly deadlineMs: number
  /** A round opens at every block that is a multiple of this. */
  readonly everyBlocks: number
}

export interface GenerationDutyModules {
  readonly network: Network
  readonly miners: MinerStore
  readonly workflows: readonly WorkflowTemplate[]
  readonly clips: readonly CorpusClip[]
  readonly round: GenerationRound
  readonly penalties: Penalties
  readonly ledger: LedgerState
}

/** Opens the rounds of generation, drawn from the hash of their boundary block, beside the other rounds. */
export class GenerationDuty implements Duty {
  readonly name = 'generation'
  readonly everyMs: number
  readonly deadlineMs: number
  readonly #options: GenerationDutyOptions
  readonly #modules: GenerationDutyModules
  #lastBoundary = -1

  constructor(options: GenerationDutyOptions, modules: GenerationDutyModules) {
    this.everyMs = options.everyMs
    this.deadlineMs = options.deadlineMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, miners, workflows, clips, round, penalties, ledger } = this.#modules
    const head = network.head
    if (head === undefined) return skipped('the chain has not been read yet')
    const block = roundBlock(head.number, this.#options.everyBlocks)
    if (block <= this.#lastBoundary) return skipped('the round of this boundary was played')
    const blockHash = await network.chain.blockHash(block as typeof head.number, { signal })
    if (blockHash === undefined) return skipped('the boundary block is not known')
    this.#lastBoundary = block
    const known = new Map((await miners.active()).map((miner) => [miner.hotkey, miner]))
    const able = network
      .miners()
      .filter(({ hotkey }) => known.get(hotkey)?.kinds?.includes('generate') === true)
      .filter(({ hotkey }) => penalties.mayAsk(hotkey, block))
    if (able.length === 0) return skipped('no miner may be asked to generate')
    const plan = planGeneration({
      netuid: network.netuid,
      block,
      blockHash,
      workflows,
      clips,
      miners: able.map(({ hotkey }) => hotkey),
    })
    const result = await round.play(plan, { block, blockHash }, able, signal)
    if (result.outcome === 'committed') {
      ledger.add(plan.roundId, block, result.scores)
      penalties.add(block, result.scores)
    }
    return DONE
  }
}
