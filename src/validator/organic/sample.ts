import type { Rng } from '../../lib/rng.js'
import type { ScoreRecord } from '../../scoring/types.js'
import type { LedgerState } from '../ledger-state.js'
import type { Network } from '../network.js'
import { type PlanSettings, planRound, scaleOf } from '../plan.js'
import type { ChallengeSource, Judge, MinerTarget, MinerTask, Submitted } from '../ports.js'
import { type RoundRunner, rateOf } from '../round.js'
import type { RoundStore, ScoreRow } from '../state/rounds.js'

export interface OrganicSamplerOptions {
  /** Longest part of a user's video that is upscaled again. */
  readonly seconds: number
  readonly settings: PlanSettings
}

export interface OrganicSamplerModules {
  readonly network: Network
  readonly rounds: RoundStore
  readonly ledger: LedgerState
  readonly judge: Judge
  readonly rng: Rng
  /** Challenges made from one video. */
  readonly clipOf: (path: string) => Promise<ChallengeSource>
  /** Rounds whose challenges are made from that. */
  readonly roundsOf: (clip: ChallengeSource) => Pick<RoundRunner, 'play'>
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

type SampleOf<K> = Sample & { readonly request: Extract<MinerTask, { kind: K }> }

/**
 * Judges work for users and records it as a round of one miner. A compression is judged as what it is.
 * Of an upscaled video nobody has the large original: its miner gets a changed, smaller version of the
 * same video as one more task, whose original the user's video is, and cannot tell it from any other.
 */
export class OrganicSampler {
  readonly #options: OrganicSamplerOptions
  readonly #modules: OrganicSamplerModules
  #busy = false

  constructor(options: OrganicSamplerOptions, modules: OrganicSamplerModules) {
    this.#options = options
    this.#modules = modules
  }

  /** The record; undefined when this task is not judged. One at a time: rounds need the models, too. */
  async score(
    taskId: string,
    sample: Sample,
    signal: AbortSignal,
  ): Promise<ScoreRecord | undefined> {
    const { request } = sample
    if (this.#busy || request.kind === 'generation') return undefined
    this.#busy = true
    try {
      if (request.kind === 'upscaling')
        return await this.#scoreAgain(taskId, { ...sample, request }, signal)
      return await this.#scoreResult(taskId, { ...sample, request }, signal)
    } finally {
      this.#busy = false
    }
  }

  async #scoreResult(
    taskId: string,
    { request, source, miner, result, url }: SampleOf<'compression'>,
    signal: AbortSignal,
  ): Promise<ScoreRecord | undefined> {
    const { network, judge, rounds, ledger } = this.#modules
    const asked = { task: request, reference: source, payload: source, results: [result] }
    const record = (await judge.judge({ ...asked, contentSeconds: 0 }, signal)).get(result.id)
    if (record === undefined) return undefined
    const { roundId, block, blockHash } = this.#round(taskId)
    const { kind } = request
    const opened = await rounds.open({
      ...{ roundId, netuid: network.netuid, kind, block, blockHash },
      plan: { taskId },
    })
    if (!opened) return record
    const row: ScoreRow = {
      ...{ hotkey: miner.hotkey, uid: miner.uid, kind, outcome: 'scored', score: record.score },
      ...{ reason: record.reason, resultUrl: url, record, ...rateOf(record) },
    }
    await rounds.commit(roundId, [row])
    ledger.add(roundId, block, [row])
    return record
  }

  async #scoreAgain(
    taskId: string,
    { request, source, miner }: SampleOf<'upscaling'>,
    signal: AbortSignal,
  ): Promise<ScoreRecord | undefined> {
    const { network, ledger, rng, clipOf, roundsOf } = this.#modules
    const { seconds, settings } = this.#options
    const clip = await clipOf(source)
    const { roundId, block, blockHash } = this.#round(taskId)
    const { taskType: name } = request
    const drawn = planRound({
      ...{ netuid: network.netuid, kind: 'upscaling', block, clips: clip.clips, seconds },
      // Drawn from what only we know: nobody else plays this round.
      blockHash: Buffer.from(rng.bytes(32)).toString('hex'),
      miners: [miner.hotkey],
      settings: { ...settings, taskTypes: [{ name, scale: scaleOf(name), weight: 1 }] },
    })
    const plan = { ...drawn, roundId }
    const result = await roundsOf(clip).play(plan, { block, blockHash }, [miner], signal)
    if (result.outcome !== 'committed') return undefined
    ledger.add(roundId, block, result.scores)
    return result.scores[0]?.record
  }

  #round(taskId: string) {
    const block = this.#modules.network.head?.number ?? 0
    return { roundId: `organic-${taskId}`, block, blockHash: '' }
  }
}
