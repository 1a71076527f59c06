import type { ScoreRecord } from '../../scoring/types.js'
import type { LedgerState } from '../ledger-state.js'
import type { Network } from '../network.js'
import type { Judge, MinerTarget, MinerTask, Submitted } from '../ports.js'
import { rateOf } from '../round.js'
import type { RoundStore, ScoreRow } from '../state/rounds.js'

export interface OrganicSamplerModules {
  readonly network: Network
  readonly rounds: RoundStore
  readonly ledger: LedgerState
  readonly judge: Judge
}

/** A completed task, as it is judged. */
export interface Sample {
  readonly request: MinerTask
  /** The user's video. */
  readonly source: string
  readonly miner: MinerTarget
  readonly result: Submitted
  readonly url: string
}

/**
 * Judges a result for a user as what it is and records it as a round of one miner, in one transaction.
 * Compression only: of an upscaled user's video nobody has the large original to compare with.
 */
export class OrganicSampler {
  readonly #modules: OrganicSamplerModules
  #busy = false

  constructor(modules: OrganicSamplerModules) {
    this.#modules = modules
  }

  /** The record; undefined when this task is not judged. One at a time: rounds need the models, too. */
  async score(
    taskId: string,
    sample: Sample,
    signal: AbortSignal,
  ): Promise<ScoreRecord | undefined> {
    const { request, source, result } = sample
    if (this.#busy || request.kind !== 'compression') return undefined
    this.#busy = true
    try {
      const { judge } = this.#modules
      const asked = { task: request, reference: source, payload: source, results: [result] }
      const records = await judge.judge({ ...asked, contentSeconds: 0 }, signal)
      const record = records.get(result.id)
      if (record !== undefined) await this.#commit(taskId, sample, record)
      return record
    } finally {
      this.#busy = false
    }
  }

  async #commit(
    taskId: string,
    { request, miner, url }: Sample,
    record: ScoreRecord,
  ): Promise<void> {
    const { network, rounds, ledger } = this.#modules
    const block = network.head?.number ?? 0
    const roundId = `organic-${taskId}`
    const { kind } = request
    const opened = await rounds.open({
      ...{ roundId, netuid: network.netuid, kind, block, blockHash: '' },
      plan: { taskId },
    })
    if (!opened) return
    const row: ScoreRow = {
      ...{ hotkey: miner.hotkey, uid: miner.uid, kind, outcome: 'scored', score: record.score },
      ...{ reason: record.reason, resultUrl: url, record, ...rateOf(record) },
    }
    await rounds.commit(roundId, [row])
    ledger.add(roundId, block, [row])
  }
}
