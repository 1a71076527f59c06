import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Clock, Deadline } from '../../lib/clock.js'
import { describeError, SubnetError } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import type { Rng } from '../../lib/rng.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { standingOf } from '../../scoring/ledger.js'
import {
  type Workflow,
  type WorkflowStore,
  WorkflowStoreError,
  type WorkflowValues,
} from '../../workflows/index.js'
import type { ConsensusView } from '../consensus/view.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import { KIND_NAMES, OrganicParams, type OrganicRequest } from '../organic/params.js'
import type { OrganicSampler } from '../organic/sample.js'
import { payloadLivesSeconds } from '../policy.js'
import type {
  MinerClient,
  MinerTarget,
  MinerTask,
  PayloadStore,
  ResultFetcher,
  VideoCheck,
} from '../ports.js'
import type { MinerStore } from '../state/miners.js'
import { mayMove, type Task, type TaskStore } from '../state/tasks.js'

export interface OrganicOptions {
  readonly everyMs: number
  /** Tasks in flight at once. */
  readonly concurrency: number
  /** Miners tried for one task, in all. */
  readonly maxMiners: number
  /** A miner that has not answered by then gets a rival. */
  readonly hedgeMs: number
  /** Share of tasks whose first miner is drawn at random, 0–1: newcomers must be able to prove themselves. */
  readonly exploration: number
  /** Share of completed tasks that are judged and recorded, 0–1. */
  readonly sample: number
  /** Time that one miner has, the same as in rounds: the deadline is on the wire. */
  readonly minerTimeoutMs: (kind: MinerTask['kind'], pixels: number) => number
  readonly tempDir?: string
}

export interface OrganicModules {
  readonly network: Network
  readonly miners: MinerStore
  readonly tasks: TaskStore
  readonly client: MinerClient
  readonly fetcher: ResultFetcher
  readonly check: VideoCheck
  /** Where a user's video is published for miners: under the same kind of URL as challenges. */
  readonly payloads: PayloadStore
  readonly sampler: OrganicSampler
  readonly metrics: ValidatorMetrics
  readonly workflows: WorkflowStore
  readonly ledger: LedgerState
  /** What validators agree on goes before what we alone have seen. */
  readonly consensus: Pick<ConsensusView, 'performance'>
  readonly clock: Clock
  readonly rng: Rng
  readonly log: Logger
}

interface Good {
  readonly miner: MinerTarget
  readonly url: string
  readonly sizeBytes: number
  readonly sha256: string
  readonly path: string
}

/** What miners get of a task, and what we know of it. */
interface Prepared {
  readonly request: MinerTask
  /** The user's own video; absent for a video from nothing. */
  readonly source?: { readonly path: string; readonly durationSeconds: number | undefined }
  readonly publishedKey?: string
  readonly timeoutMs: number
}

/** Ends a task with a code that the user sees. */
class TaskFailure extends Error {
  readonly errorCode: string

  constructor(errorCode: string, detail: string) {
    super(detail)
    this.errorCode = errorCode
  }
}

/** Times that a task is tried again after a fault of ours. */
const RETRIES = 2
const DOWNLOAD_MS = 120_000
/** A result may be so much longer or shorter than its source: containers round, encoders pad. */
const DURATION_SHARE = 0.05
const DURATION_SECONDS = 0.5

/**
 * Takes pending tasks, from the gateway or rows inserted by hand, and gets each a good answer: the
 * best miner first, a rival when it is slow, the next when it fails, up to a limit. Only an answer
 * that was fetched and checked completes a task.
 */
export class OrganicDuty implements Duty {
  readonly name = 'organic'
  readonly everyMs: number
  readonly deadlineMs = 60_000
  readonly #options: OrganicOptions
  readonly #modules: OrganicModules
  readonly #running = new Map<string, Promise<void>>()
  /** Organic requests each miner is working on. */
  readonly #load = new Map<string, number>()

  constructor(options: OrganicOptions, modules: OrganicModules) {
    this.everyMs = options.everyMs
    this.#options = options
    this.#modules = modules
  }

  async run(_signal: AbortSignal, stopping: AbortSignal): Promise<DutyResult> {
    const room = this.#options.concurrency - this.#running.size
    if (room <= 0) return skipped('as many organic tasks run as may')
    const pending = await this.#modules.tasks.pending(room)
    if (pending.length === 0) return skipped('no organic task waits')
    for (const task of pending) {
      if (this.#running.has(task.taskId)) continue
      const run = this.#serve(task, stopping).finally(() => this.#running.delete(task.taskId))
      this.#running.set(task.taskId, run)
    }
    return DONE
  }

  /** Organic requests that a miner is working on. */
  loadOf(hotkey: string): number {
    return this.#load.get(hotkey) ?? 0
  }

  /** Resolves when no task is in flight. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#running.values())
  }

  /** One task from pending to its end. A fault of ours puts it back, a few times. */
  async #serve(task: Task, stopping: AbortSignal): Promise<void> {
    const { tasks, log, metrics, clock } = this.#modules
    const { taskId, kind } = task
    await using dir = await tempFolder('subreel-organic-', this.#options.tempDir)
    using deadline = new Deadline(task.timeoutSeconds * 1000, stopping)
    const end = async (to: 'failed' | 'timeout', errorCode: string, detail: string) => {
      const now = await tasks.get(taskId)
      if (now !== undefined && mayMove(now.status, to))
        await tasks.move(taskId, now.status, to, { errorCode, detail })
      metrics.organic.inc({ kind, result: to })
      log.warn({ event: 'organic.failed', taskId, errorCode, detail }, "a user's task failed")
    }
    try {
      const done = await this.#run(task, dir.path, deadline.signal)
      metrics.organic.inc({ kind, result: 'completed' })
      metrics.organicSeconds.observe({ kind }, (clock.now() - task.createdAt) / 1000)
      await this.#sample(task, done.prepared, done.good, stopping)
    } catch (error) {
      // Whoever was interrupted by our end found no good answer either: the next start goes on with it.
      if (stopping.aborted) return
      if (deadline.expired) await end('timeout', 'TASK_TIMEOUT', 'no good answer in time')
      else if (error instanceof TaskFailure) await end('failed', error.errorCode, error.message)
      else await this.#putBack(task, error, end)
    }
  }

  async #putBack(
    task: Task,
    error: unknown,
    end: (to: 'failed', errorCode: string, detail: string) => Promise<void>,
  ): Promise<void> {
    const { tasks, log } = this.#modules
    log.error(
      { event: 'organic.interrupted', taskId: task.taskId, error },
      'a fault of ours interrupted a task',
    )
    const now = await tasks.get(task.taskId)
    if (now === undefined || now.status === 'completed') return
    if (now.retryCount >= RETRIES || !mayMove(now.status, 'pending'))
      await end('failed', 'TASK_INTERRUPTED', 'the validator failed several times; submit it again')
    else await tasks.move(task.taskId, now.status, 'pending', { detail: describeError(error) })
  }

  async #run(
    task: Task,
    dir: string,
    signal: AbortSignal,
  ): Promise<{ readonly prepared: Prepared; readonly good: Good }> {
    const { tasks, log, payloads } = this.#modules
    const parsed = OrganicParams.safeParse({ kind: task.kind, ...(task.params as object) })
    if (!parsed.success) {
      const detail = parsed.error.issues
        .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
        .join('; ')
      throw new TaskFailure('TASK_PARAMS_INVALID', detail)
    }
    const miners = await this.#choose(parsed.data.kind)
    const [first] = miners
    if (first === undefined)
      throw new TaskFailure('TASK_NO_MINER', 'no miner does this kind of work')
    await tasks.move(task.taskId, 'pending', 'assigned', { minerHotkey: first.hotkey })
    const prepared = await this.#prepare(parsed.data, task.taskId, dir, signal)
    try {
      await tasks.move(task.taskId, 'assigned', 'processing')
      const good = await this.#firstGood(task.taskId, prepared, miners, dir, signal)
      if (good === undefined)
        throw new TaskFailure('TASK_NO_GOOD_ANSWER', 'no miner gave a usable answer')
      await tasks.move(task.taskId, 'processing', 'completed', {
        resultUrl: good.url,
        minerHotkey: good.miner.hotkey,
        fileSize: good.sizeBytes,
      })
      log.info(
        { event: 'organic.completed', taskId: task.taskId, uid: good.miner.uid },
        'completed an organic task',
      )
      return { prepared, good }
    } finally {
      if (prepared.publishedKey !== undefined) await payloads.remove(prepared.publishedKey)
    }
  }

  /**
   * What a user sent is fetched once and published again from our own store: miners see the same kind of
   * URL as in rounds, and not who asked.
   */
  async #prepare(
    params: OrganicRequest,
    roundId: string,
    dir: string,
    signal: AbortSignal,
  ): Promise<Prepared> {
    if (params.kind === 'generation') return this.#prepareWorkflow(params, roundId, dir, signal)
    const path = join(dir, 'source.mp4')
    await this.#download(params.url, path, signal)
    const { ok, reason, durationSeconds, pixels = 0 } = await this.#modules.check(path, signal)
    if (!ok) throw new TaskFailure('TASK_SOURCE_UNUSABLE', reason)
    const timeoutMs = this.#options.minerTimeoutMs(params.kind, pixels)
    const { url, key } = await this.#publish(path, timeoutMs, signal)
    return {
      request: { ...params, url, roundId },
      source: { path, durationSeconds },
      publishedKey: key,
      timeoutMs,
    }
  }

  async #prepareWorkflow(
    params: OrganicRequest & { kind: 'generation' },
    roundId: string,
    dir: string,
    signal: AbortSignal,
  ): Promise<Prepared> {
    const { kind, values } = params
    const timeoutMs = this.#options.minerTimeoutMs(kind, 0)
    // Refuses what does not fit before anything is fetched for it.
    const workflow = this.#fill(params, values)
    const image = values['image_url']
    if (typeof image !== 'string' || params.workflow_params !== undefined)
      return { request: { kind, roundId, workflow }, timeoutMs }
    const path = join(dir, 'still.png')
    await this.#download(image, path, signal)
    const { url, key } = await this.#publish(path, timeoutMs, signal)
    const filled = this.#fill(params, { ...values, image_url: url })
    return { request: { kind, roundId, workflow: filled }, publishedKey: key, timeoutMs }
  }

  async #download(url: string, path: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#modules.fetcher.download(url, path, { timeoutMs: DOWNLOAD_MS, signal })
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof SubnetError === false) throw error
      throw new TaskFailure('TASK_SOURCE_UNREACHABLE', describeError(error))
    }
  }

  #publish(path: string, timeoutMs: number, signal: AbortSignal) {
    return this.#modules.payloads.publish(path, payloadLivesSeconds(timeoutMs), signal)
  }

  #fill(
    { workflow: name = '', workflow_params: whole }: OrganicRequest & { kind: 'generation' },
    values: WorkflowValues,
  ): Workflow {
    try {
      return whole ?? this.#modules.workflows.get(name).fill(values)
    } catch (error) {
      if (error instanceof WorkflowStoreError)
        throw new TaskFailure('TASK_PARAMS_INVALID', describeError(error))
      throw error
    }
  }

  /** Judges some of the completed tasks, so that work for users earns as rounds do. */
  async #sample(task: Task, { request, source }: Prepared, good: Good, signal: AbortSignal) {
    const { sampler, tasks, rng, log } = this.#modules
    if (source === undefined || rng.float() >= this.#options.sample) return
    try {
      const { miner, path, sha256, url } = good
      const record = await sampler.score(
        task.taskId,
        { request, source: source.path, miner, result: { id: miner.hotkey, path, sha256 }, url },
        signal,
      )
      if (record === undefined) return
      const failed = record.gates.some((gate) => !gate.passed)
      await tasks.move(task.taskId, 'completed', failed ? 'verification_failed' : 'scored', {
        score: record.score,
        detail: record.reason,
      })
    } catch (error) {
      if (!signal.aborted)
        log.error(
          { event: 'organic.unjudged', taskId: task.taskId, error },
          'a sample could not be judged; nobody is lowered for it',
        )
    }
  }

  /** Miners of the kind, best first: running score divided by load; sometimes a random one leads. */
  async #choose(kind: MinerTask['kind']): Promise<MinerTarget[]> {
    const { network, miners, ledger, consensus, rng } = this.#modules
    const known = new Map((await miners.active()).map((miner) => [miner.hotkey, miner]))
    const able = network
      .miners()
      .filter(({ hotkey }) => known.get(hotkey)?.kinds?.includes(KIND_NAMES[kind] ?? kind) === true)
    const worth = ({ hotkey }: MinerTarget) => {
      const neuron = network.neuron(hotkey)
      const own =
        neuron === undefined ? 0 : standingOf(ledger.current, neuron.hotkey, kind).accumulated
      return (consensus.performance(hotkey, kind) ?? own) / (1 + this.loadOf(hotkey))
    }
    const ranked = able
      .map((miner) => ({ miner, worth: worth(miner) }))
      .sort((a, b) => b.worth - a.worth || a.miner.uid - b.miner.uid)
    const order = ranked.map(({ miner }) => miner)
    if (order.length > 1 && rng.float() < this.#options.exploration) {
      const [lucky] = order.splice(rng.int(order.length), 1)
      if (lucky !== undefined) order.unshift(lucky)
    }
    return order.slice(0, this.#options.maxMiners)
  }

  /** Tries miners until one answer is good. A slow one is joined by the next, not dropped. */
  async #firstGood(
    taskId: string,
    prepared: Prepared,
    miners: readonly MinerTarget[],
    dir: string,
    signal: AbortSignal,
  ): Promise<Good | undefined> {
    const { clock } = this.#modules
    const ended = new AbortController()
    const stop = AbortSignal.any([signal, ended.signal])
    const tries = new Set<Promise<Good | undefined>>()
    try {
      for (const miner of miners) {
        signal.throwIfAborted()
        const attempt: Promise<Good | undefined> = this.#try(
          taskId,
          prepared,
          miner,
          dir,
          stop,
        ).finally(() => tries.delete(attempt))
        tries.add(attempt)
        const good = await this.#settled(
          tries,
          clock.sleep(this.#options.hedgeMs, stop).catch(() => {}),
        )
        if (good !== undefined) return good
      }
      for (;;) {
        if (tries.size === 0) return undefined
        const good = await Promise.race(tries)
        if (good !== undefined) return good
      }
    } finally {
      ended.abort()
    }
  }

  /** The first good answer, or undefined once all running tries failed or the hedge time is over. */
  async #settled(
    tries: ReadonlySet<Promise<Good | undefined>>,
    hedge: Promise<void>,
  ): Promise<Good | undefined> {
    const over = hedge.then(() => 'over' as const)
    while (tries.size > 0) {
      const first = await Promise.race([...tries, over])
      if (first === 'over') return undefined
      if (first !== undefined) return first
    }
    return undefined
  }

  async #try(
    taskId: string,
    { request, source, timeoutMs }: Prepared,
    miner: MinerTarget,
    dir: string,
    signal: AbortSignal,
  ): Promise<Good | undefined> {
    const { client, fetcher, check, log } = this.#modules
    const path = join(dir, randomUUID())
    const { uid } = miner
    this.#load.set(miner.hotkey, this.loadOf(miner.hotkey) + 1)
    const refuse = (reason: string) => {
      log.info(
        { event: 'organic.answer-refused', taskId, uid, reason },
        'a miner gave no usable answer',
      )
      return undefined
    }
    try {
      log.info(
        { event: 'organic.asked', taskId, uid, kind: request.kind },
        'asked a miner for a user',
      )
      const answer = await client.ask(miner, request, { timeoutMs, signal })
      if (!answer.ok) return refuse(answer.reason)
      const { url } = answer
      const fetched = await fetcher.download(url, path, { timeoutMs: DOWNLOAD_MS, signal })
      const checked = await check(path, signal)
      if (!checked.ok) return refuse(checked.reason)
      if (!sameLength(source?.durationSeconds, checked.durationSeconds))
        return refuse(
          `the result lasts ${checked.durationSeconds} s, its source ${source?.durationSeconds} s`,
        )
      return { miner, url, path, ...fetched }
    } catch (error) {
      return signal.aborted ? undefined : refuse(describeError(error))
    } finally {
      this.#load.set(miner.hotkey, this.loadOf(miner.hotkey) - 1)
    }
  }
}

function sameLength(source: number | undefined, result: number | undefined): boolean {
  if (source === undefined || result === undefined) return true
  return Math.abs(source - result) <= Math.max(DURATION_SECONDS, DURATION_SHARE * source)
}
