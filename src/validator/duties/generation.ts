import type { CorpusClip } from '../../corpus/index.js'
import type { WorkflowTemplate } from '../../workflows/index.js'
import { DONE, type DutyResult, skipped } from '../duty.js'
import type { Penalties } from '../generation/penalties.js'
import { planGeneration } from '../generation/plan.js'
import type { GenerationRound } from '../generation/round.js'
import type { LedgerState } from '../ledger-state.js'
import type { RoundBlock } from '../round-life.js'
import type { MinerStore } from '../state/miners.js'
import { RoundDuty, type RoundDutyModules, type RoundDutyOptions } from './round-duty.js'

export interface GenerationDutyModules extends RoundDutyModules {
  readonly miners: MinerStore
  readonly workflows: readonly WorkflowTemplate[]
  readonly clips: readonly CorpusClip[]
  readonly round: GenerationRound
  readonly penalties: Penalties
  readonly ledger: LedgerState
}

/** Opens the rounds of generation, drawn from the hash of their boundary block, beside the other rounds. */
export class GenerationDuty extends RoundDuty {
  readonly name = 'generation'
  readonly #modules: GenerationDutyModules

  constructor(options: RoundDutyOptions, modules: GenerationDutyModules) {
    super(options, modules)
    this.#modules = modules
  }

  protected async play(at: RoundBlock, signal: AbortSignal): Promise<DutyResult> {
    const { network, miners, workflows, clips, round, penalties, ledger } = this.#modules
    const known = new Map((await miners.active()).map((miner) => [miner.hotkey, miner]))
    const able = network
      .miners()
      .filter(({ hotkey }) => known.get(hotkey)?.kinds?.includes('generate') === true)
      .filter(({ hotkey }) => penalties.mayAsk(hotkey, at.block))
    if (able.length === 0) return skipped('no miner may be asked to generate')
    const plan = planGeneration({
      netuid: network.netuid,
      ...at,
      workflows,
      clips,
      miners: able.map(({ hotkey }) => hotkey),
    })
    const result = await round.play(plan, at, able, signal)
    if (result.outcome === 'committed') {
      ledger.add(plan.roundId, at.block, result.scores)
      penalties.add(at.block, result.scores)
    }
    return DONE
  }
}
