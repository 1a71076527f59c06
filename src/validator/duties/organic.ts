import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../../lib/clock.js'
import { describeError, isAbort } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import type { Rng } from '../../lib/rng.js'
import { standingOf } from '../../scoring/ledger.js'
import { VIDEO_CODECS } from '../../scoring/types.js'
import { type WorkflowStore, WorkflowStoreError, workflowSchema } from '../../workflows/index.js'
import type { ConsensusView } from '../consensus/view.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { LedgerState } from '../ledger-state.js'
import type { Network } from '../network.js'
import type { MinerClient, MinerTarget, MinerTask, ResultFetcher } from '../ports.js'
import type { MinerStore } from '../state/miners.js'
import type { Task, TaskStore } from '../state/tasks.js'

/** Parameters of an organic task, as a row or the gateway gives them. */
const OrganicParams = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('compression'),
    url: z.url(),
    vmafThreshold: z.number().min(0).max(100).default(90),
    codec: z.enum(VIDEO_CODECS).default('av1'),
    mode: z.enum(['CRF', 'VBR']).default('CRF'),
    targetBitrateMbps: z.number().positive().default(10),
  }),
  z.object({
    kind: z.literal('upscaling'),
    url: z.url(),
    taskType: z.string().max(32).default('HD24K'),
  }),
  z
    .object({
      kind: z.literal('generation'),
      /** Name of a workflow of this validator's. */
      workflow: z.string().max(80).optional(),
      /** What it is filled with, by the names of its mapping: `video_prompt`, `seed`, `image_url` … */
      values: z
        .record(z.string().max(64), z.union([z.string().max(20_000), z.number()]))
        .default({}),
      /** Instead of a name: a whole workflow in ComfyUI's API format. */
      workflow_params: workflowSchema.optional(),
    })
    .refine(({ workflow, workflow_params }) => (workflow ?? workflow_params) !== undefined, {
      message: 'name a workflow, or give one as workflow_params',
    }),
])
type OrganicRequest = z.output<typeof OrganicParams>

const KIND_NAMES: Readonly<Record<string, string>> = {
  generation: 'generate',
  compression: 'compress',
  upscaling: 'upscale',
}

/** Whether a fetched result is a video worth giving to a user. */
export type ResultCheck = (
  path: string,
  signal: AbortSignal,
) => Promise<{ readonly ok: boolean; readonly reason: string }>

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
  readonly tempDir?: string
}

export interface OrganicModules {
  readonly network: Network
  readonly miners: MinerStore
  readonly tasks: TaskStore
  readonly client: MinerClient
  readonly fetcher: ResultFetcher
  readonly check: ResultCheck
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
}

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

  async #serve(task: Task, signal: AbortSignal): Promise<void> {
    const { tasks, log } = this.#modules
    try {
      const params = OrganicParams.safeParse({ kind: task.kind, ...(task.params as object) })
      if (!params.success) {
        const detail = params.error.issues
          .map((issue) => `${issue.path.join('.')}: ${issue.message}`)
          .join('; ')
        await tasks.move(task.taskId, 'pending', 'failed', {
          errorCode: 'TASK_PARAMS_INVALID',
          detail,
        })
        return
      }
      const request = this.#request(params.data, task.taskId)
      if ('problem' in request) {
        const { problem: detail } = request
        const errorCode = 'TASK_PARAMS_INVALID'
        await tasks.move(task.taskId, 'pending', 'failed', { errorCode, detail })
        return
      }
      const miners = await this.#choose(params.data.kind)
      const [first] = miners
      if (first === undefined) {
        await tasks.move(task.taskId, 'pending', 'failed', {
          errorCode: 'TASK_NO_MINER',
          detail: 'no miner does this kind of work',
        })
        return
      }
      await tasks.move(task.taskId, 'pending', 'assigned', { minerHotkey: first.hotkey })
      await tasks.move(task.taskId, 'assigned', 'processing')
      const good = await this.#firstGood(task, request, miners, signal)
      if (good === undefined) {
        await tasks.move(task.taskId, 'processing', 'failed', {
          errorCode: 'TASK_NO_GOOD_ANSWER',
          detail: 'no miner gave a usable answer',
        })
        return
      }
      await tasks.move(task.taskId, 'processing', 'completed', {
        resultUrl: good.url,
        minerHotkey: good.miner.hotkey,
        fileSize: good.sizeBytes,
      })
      log.info(
        { event: 'organic.completed', taskId: task.taskId, uid: good.miner.uid },
        'completed an organic task',
      )
    } catch (error) {
      if (!isAbort(error))
        log.error(
          { event: 'organic.failed', taskId: task.taskId, error },
          'an organic task could not be served',
        )
    }
  }

  /** What miners are asked, or what is wrong with the values of a workflow. */
  #request(params: OrganicRequest, roundId: string): MinerTask | { readonly problem: string } {
    if (params.kind !== 'generation') return { ...params, roundId }
    const { workflow: name = '', values, workflow_params: whole } = params
    try {
      const workflow = whole ?? this.#modules.workflows.get(name).fill(values)
      return { kind: 'generation', roundId, workflow }
    } catch (error) {
      if (error instanceof WorkflowStoreError) return { problem: describeError(error) }
      throw error
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
    task: Task,
    request: MinerTask,
    miners: readonly MinerTarget[],
    signal: AbortSignal,
  ): Promise<Good | undefined> {
    const { clock } = this.#modules
    const ended = new AbortController()
    const stop = AbortSignal.any([signal, ended.signal])
    const tries = new Set<Promise<Good | undefined>>()
    try {
      for (const miner of miners) {
        const attempt: Promise<Good | undefined> = this.#try(task, request, miner, stop).finally(
          () => tries.delete(attempt),
        )
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
    task: Task,
    request: MinerTask,
    miner: MinerTarget,
    signal: AbortSignal,
  ): Promise<Good | undefined> {
    const { client, fetcher, check, log } = this.#modules
    const path = join(this.#options.tempDir ?? tmpdir(), `subreel-organic-${randomUUID()}`)
    const timeoutMs = task.timeoutSeconds * 1000
    this.#load.set(miner.hotkey, this.loadOf(miner.hotkey) + 1)
    const refuse = (reason: string) => {
      log.info(
        { event: 'organic.answer-refused', taskId: task.taskId, uid: miner.uid, reason },
        'a miner gave no usable answer',
      )
      return undefined
    }
    try {
      const answer = await client.ask(miner, request, { timeoutMs, signal })
      if (!answer.ok) return refuse(answer.reason)
      const { sizeBytes } = await fetcher.download(answer.url, path, { timeoutMs, signal })
      const checked = await check(path, signal)
      return checked.ok ? { miner, url: answer.url, sizeBytes } : refuse(checked.reason)
    } catch (error) {
      return signal.aborted ? undefined : refuse(describeError(error))
    } finally {
      this.#load.set(miner.hotkey, (this.#load.get(miner.hotkey) ?? 1) - 1)
      await rm(path, { force: true })
    }
  }
}
