import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { deadline } from '../../lib/clock.js'
import { mapLimit } from '../../lib/loop.js'
import type { GeneratedResult, Rerun } from '../../scoring/generation/index.js'
import type { ScoreRecord } from '../../scoring/types.js'
import type { Workflow, WorkflowStore } from '../../workflows/index.js'
import { opaqueId } from '../opaque-id.js'
import { payloadLivesSeconds } from '../policy.js'
import type { MinerTarget, PayloadStore } from '../ports.js'
import {
  playRound,
  type RoundBlock,
  type RoundLifeModules,
  type RoundResult,
  rowsOf,
} from '../round-life.js'
import type { ScoreRow } from '../state/rounds.js'
import type { GenerationClient } from './client.js'
import type { GenerationPlan, StillPlan } from './plan.js'

export interface GenerationRoundOptions {
  readonly netuid: number
  /** Requests in flight at once. */
  readonly concurrency: number
  /** Time a miner has, and this side's own rerun, in milliseconds. */
  readonly timeoutMs: number
  /** Judged results stay in the store until its sweep, and scores name their URLs. Default false. */
  readonly keepResults?: boolean
  readonly tempDir?: string
}

/** The sweep deletes what is older. */
const KEPT_SECONDS = 86_400

/** Judges results by running the workflow again; what it throws is this side's failure. */
export interface GenerationJudge {
  rerun(workflow: Workflow, dir: string, signal: AbortSignal): Promise<Rerun>
  judge(
    rerun: Rerun,
    result: GeneratedResult,
    dir: string,
    signal: AbortSignal,
  ): Promise<ScoreRecord>
}

export interface GenerationRoundModules extends RoundLifeModules {
  readonly workflows: WorkflowStore
  readonly client: Pick<GenerationClient, 'readiness' | 'generate' | 'fetch' | 'url' | 'remove'>
  readonly judge: GenerationJudge
  /** First frames, for workflows that want one. */
  readonly stills: { still(plan: StillPlan, output: string): Promise<void> } | undefined
  readonly payloads: PayloadStore
}

/**
 * Plays one round of generation: every miner gets the same workflow at the same time, this side runs
 * it too, and each result is compared with what came out here. A rerun that fails voids the round.
 */
export class GenerationRound {
  readonly #options: GenerationRoundOptions
  readonly #modules: GenerationRoundModules

  constructor(options: GenerationRoundOptions, modules: GenerationRoundModules) {
    this.#options = options
    this.#modules = modules
  }

  play(
    plan: GenerationPlan,
    at: RoundBlock,
    miners: readonly MinerTarget[],
    signal: AbortSignal,
  ): Promise<RoundResult> {
    const { netuid, tempDir } = this.#options
    const round = { ...at, roundId: plan.roundId, netuid, kind: plan.task.kind, plan }
    return playRound(this.#modules, round, { miners: miners.length, tempDir }, (dir) =>
      this.#scores(plan, miners, dir, signal),
    )
  }

  async #scores(
    plan: GenerationPlan,
    miners: readonly MinerTarget[],
    dir: string,
    signal: AbortSignal,
  ): Promise<ScoreRow[]> {
    const { payloads, judge } = this.#modules
    const { concurrency, timeoutMs } = this.#options
    const image = await this.#publishStill(plan, dir, signal)
    const failed = new AbortController()
    const either = AbortSignal.any([signal, failed.signal])
    try {
      const workflow = this.#fill(plan, image?.url)
      const own = join(dir, 'rerun')
      await mkdir(own)
      const within = deadline(timeoutMs, either)
      const rerun = judge.rerun(workflow, own, within)
      // Without a rerun nothing can be judged: nobody need be waited for.
      rerun.catch((error: unknown) => failed.abort(error))
      const byHotkey = new Map(miners.map((miner) => [miner.hotkey, miner]))
      const asked = plan.order.flatMap((hotkey) => byHotkey.get(hotkey) ?? [])
      const inTurn = new Turns()
      const rows = await mapLimit(asked, concurrency, (miner) =>
        this.#playMiner(miner, plan, { workflow, rerun, dir, inTurn }, either),
      )
      await rerun
      return rows.filter((row) => row !== undefined)
    } finally {
      failed.abort()
      if (image !== undefined) await payloads.remove(image.key)
    }
  }

  async #publishStill(plan: GenerationPlan, dir: string, signal: AbortSignal) {
    const { stills, payloads } = this.#modules
    if (plan.still === undefined || stills === undefined) return undefined
    const path = join(dir, 'still.png')
    await stills.still(plan.still, path)
    return payloads.publish(path, payloadLivesSeconds(this.#options.timeoutMs), signal)
  }

  #fill(plan: GenerationPlan, imageUrl: string | undefined): Workflow {
    const template = this.#modules.workflows.get(plan.task.workflow)
    return template.fill(
      imageUrl === undefined ? plan.values : { ...plan.values, image_url: imageUrl },
    )
  }

  /** One miner's part as a row; undefined for one that was not asked. Only an abort is thrown. */
  async #playMiner(
    miner: MinerTarget,
    plan: GenerationPlan,
    shared: {
      readonly workflow: Workflow
      readonly rerun: Promise<Rerun>
      readonly dir: string
      readonly inTurn: Turns
    },
    signal: AbortSignal,
  ): Promise<ScoreRow | undefined> {
    const { client, log, metrics, judge } = this.#modules
    const { timeoutMs, keepResults = false } = this.#options
    const { hotkey, uid } = miner
    const row = rowsOf(this.#modules, plan.roundId, { hotkey, uid, kind: plan.task.kind })
    const readiness = await client.readiness(miner, signal)
    if (readiness === 'no-comfy') return row('refused', 0, 'the miner says that it has no ComfyUI')
    if (readiness === 'full') {
      log.info(
        { event: 'generation.full', roundId: plan.roundId, uid: miner.uid },
        'a miner has no room for a task and was not asked',
      )
      return undefined
    }
    const taskId = opaqueId(plan.roundId)
    const answer = await client.generate(
      miner,
      { taskId, workflow: shared.workflow },
      { timeoutMs, signal },
    )
    const { latencyMs } = answer
    metrics.answerSeconds.observe({ kind: 'generation' }, latencyMs / 1000)
    if (!answer.ok) return row(answer.outcome, 0, answer.reason, { latencyMs })
    const dir = join(shared.dir, `uid-${miner.uid}`)
    let resultUrl: string | undefined
    try {
      await mkdir(dir)
      const path = join(dir, 'result')
      if (!(await client.fetch(answer.key, path, signal)))
        return row('download_failed', 0, 'the result is larger than allowed', { latencyMs })
      const rerun = await shared.rerun
      const result = { path, sha256: await sha256Of(path), seconds: latencyMs / 1_000 }
      const record = await shared.inTurn.take(() => judge.judge(rerun, result, dir, signal))
      const quality = Number(record.metrics['quality'] ?? 0)
      const bad = record.gates.some(({ code, passed }) => !passed && code === 'package')
      const outcome = bad ? 'bad_media' : 'scored'
      if (keepResults) resultUrl = await client.url(answer.key, KEPT_SECONDS)
      const kept = resultUrl === undefined ? {} : { resultUrl }
      return row(outcome, record.score, record.reason, { latencyMs, quality, record, ...kept })
    } catch (error) {
      signal.throwIfAborted()
      return row.unjudged(error, { latencyMs })
    } finally {
      if (resultUrl === undefined) await client.remove(answer.key).catch(() => {})
      await rm(dir, { recursive: true, force: true })
    }
  }
}

/** One judgement at a time: each uses every core, and models need their memory for themselves. */
class Turns {
  #last: Promise<unknown> = Promise.resolve()

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => {})
    return turn
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
