import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, must, SubnetError } from '../lib/errors.js'
import { mapLimit } from '../lib/loop.js'
import type { ScoreRecord } from '../scoring/types.js'
import { ArrivalJudge } from './judging.js'
import type { MinerWork, RoundKind, RoundPlan, RoundTask } from './plan.js'
import { payloadLivesSeconds } from './policy.js'
import type {
  ChallengeSource,
  Judge,
  MinerClient,
  MinerTarget,
  PayloadStore,
  ResultFetcher,
  VideoCheck,
} from './ports.js'
import {
  playRound,
  type RoundBlock,
  type RoundLifeModules,
  type RoundResult,
  rowsOf,
} from './round-life.js'
import type { ScoreRow } from './state/rounds.js'

export interface RoundOptions {
  readonly netuid: number
  /** Requests in flight at once. */
  readonly concurrency: number
  /** Time a miner has for a clip of so many pixels (frames × width × height), in milliseconds. */
  readonly timeoutMs: (kind: RoundKind, pixels: number) => number
  /** Where working files go; the system's temporary folder when absent. */
  readonly tempDir?: string
}

export interface RoundModules extends RoundLifeModules {
  readonly corpus: ChallengeSource
  readonly check: VideoCheck
  readonly payloads: PayloadStore
  readonly client: MinerClient
  readonly fetcher: ResultFetcher
  readonly judge: Judge
}

/** What miners that take clips of one length are given. */
interface Challenge {
  readonly url: string
  readonly key: string
  readonly seconds: number
  readonly timeoutMs: number
  readonly arrivals: ArrivalJudge
}

const DOWNLOAD_MS = 120_000

/**
 * Plays one round: makes the challenge, asks all miners of its kind at once, fetches and judges each
 * answer as it arrives, and commits all scores in one transaction. What fails for a miner is an
 * outcome with a reason; what fails for us is `infrastructure`, which lowers nobody.
 */
export class RoundRunner {
  readonly #options: RoundOptions
  readonly #modules: RoundModules

  constructor(options: RoundOptions, modules: RoundModules) {
    this.#options = options
    this.#modules = modules
  }

  play(
    plan: RoundPlan,
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
    plan: RoundPlan,
    miners: readonly MinerTarget[],
    dir: string,
    signal: AbortSignal,
  ): Promise<ScoreRow[]> {
    const byHotkey = new Map(miners.map((miner) => [miner.hotkey, miner]))
    const asked = plan.order.flatMap((hotkey) => byHotkey.get(hotkey) ?? [])
    const secondsFor = ({ maxSeconds = Number.POSITIVE_INFINITY }: MinerTarget) =>
      Math.min(plan.cut.seconds, maxSeconds)
    const challenges = new Map<number, Challenge>()
    try {
      // A miner that takes only short clips gets the beginning: it must not shorten the round for all.
      for (const seconds of new Set(asked.map(secondsFor)))
        challenges.set(seconds, await this.#publish(plan, seconds, dir, signal))
      const firstWithContent = new Map<string, number>()
      return await mapLimit(asked, this.#options.concurrency, (miner) => {
        const challenge = must(challenges.get(secondsFor(miner)), 'challenge')
        return this.#playMiner(miner, plan, challenge, dir, firstWithContent, signal)
      })
    } finally {
      for (const { key } of challenges.values()) await this.#modules.payloads.remove(key)
    }
  }

  /** Makes the challenge of that length and puts it where miners can fetch it. */
  async #publish(
    plan: RoundPlan,
    seconds: number,
    parent: string,
    signal: AbortSignal,
  ): Promise<Challenge> {
    const { payloads, judge, check } = this.#modules
    const dir = await mkdtemp(join(parent, 'challenge-'))
    const files = await this.#makeChallenge({ ...plan, cut: { ...plan.cut, seconds } }, dir)
    const { pixels = 0 } = await check(files.payload, signal)
    const timeoutMs = this.#options.timeoutMs(plan.task.kind, pixels)
    const livesSeconds = payloadLivesSeconds(timeoutMs)
    const { url, key } = await payloads.publish(files.payload, livesSeconds, signal)
    const request = { task: plan.task, ...files, contentSeconds: seconds }
    const arrivals = new ArrivalJudge((results) => judge.judge({ ...request, results }, signal))
    return { url, key, seconds, timeoutMs, arrivals }
  }

  async #makeChallenge(
    plan: RoundPlan,
    dir: string,
  ): Promise<{ reference: string; payload: string }> {
    const { corpus } = this.#modules
    const reference = join(dir, 'reference.mp4')
    if (plan.task.kind === 'compression') {
      await corpus.compression(plan.clipId, plan.cut, reference)
      return { reference, payload: reference }
    }
    const payload = join(dir, 'payload.mp4')
    await corpus.upscaling(plan.clipId, plan.cut, plan.task.scale, plan.task.degradation, {
      reference,
      payload,
    })
    return { reference, payload }
  }

  /** One miner's part of the round, as a row. Only an abort is thrown. */
  async #playMiner(
    miner: MinerTarget,
    plan: RoundPlan,
    challenge: Challenge,
    dir: string,
    firstWithContent: Map<string, number>,
    signal: AbortSignal,
  ): Promise<ScoreRow> {
    const { client, fetcher, metrics } = this.#modules
    const kind = plan.task.kind
    const row = rowsOf(this.#modules, plan.roundId, {
      ...{ hotkey: miner.hotkey, uid: miner.uid, kind },
      contentSeconds: challenge.seconds,
    })
    const task = { ...minerWork(plan.task), url: challenge.url, roundId: plan.roundId }
    const answer = await client.ask(miner, task, { timeoutMs: challenge.timeoutMs, signal })
    signal.throwIfAborted()
    const { latencyMs } = answer
    metrics.answerSeconds.observe({ kind }, latencyMs / 1000)
    if (!answer.ok) return row(answer.outcome, 0, answer.reason, { latencyMs })

    const path = join(dir, `${randomUUID()}.bin`)
    let fetched: { sha256: string }
    try {
      fetched = await fetcher.download(answer.url, path, { timeoutMs: DOWNLOAD_MS, signal })
    } catch (error) {
      signal.throwIfAborted()
      const ours = error instanceof SubnetError === false
      const reason = `the result could not be fetched: ${describeError(error)}`
      return row(ours ? 'infrastructure' : 'download_failed', 0, reason, { latencyMs })
    }
    const original = firstWithContent.get(fetched.sha256)
    if (original !== undefined) {
      await rm(path, { force: true })
      return row('copied', 0, `the result is byte for byte that of uid ${original}`, { latencyMs })
    }
    firstWithContent.set(fetched.sha256, miner.uid)
    let record: ScoreRecord
    try {
      record = await challenge.arrivals.add({ id: miner.hotkey, path, sha256: fetched.sha256 })
    } catch (error) {
      signal.throwIfAborted()
      return row.unjudged(error, { latencyMs })
    } finally {
      await rm(path, { force: true })
    }
    const outcome =
      record.metrics.vmaf === undefined && record.gates.some((gate) => !gate.passed)
        ? 'bad_media'
        : 'scored'
    const extra = { latencyMs, resultUrl: answer.url, record, ...rateOf(record) }
    return row(outcome, record.score, record.reason, extra)
  }
}

/** Bytes out over bytes in, of a compression. */
export function rateOf({ metrics }: ScoreRecord): { readonly rate?: number } {
  const rate = metrics['rate']
  return typeof rate === 'number' ? { rate } : {}
}

/** The part of a challenge that a miner may know. */
function minerWork(task: RoundTask): MinerWork {
  return task.kind === 'compression' ? task : { kind: task.kind, taskType: task.taskType }
}
