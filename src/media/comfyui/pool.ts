import { createHash, randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { aborted, type Clock, Deadline, SystemClock } from '../../lib/clock.js'
import { describeError, isAbort } from '../../lib/errors.js'
import { type Logger, silentLog } from '../../lib/log.js'
import { runEvery } from '../../lib/loop.js'
import { Registry } from '../../lib/metrics.js'
import { withResolvers } from '../../lib/resources.js'
import { ComfyClient, type ComfyClientOptions } from './client.js'
import { ComfyError } from './errors.js'
import type { WorkflowFirewall, WorkflowNeeds } from './firewall.js'
import type { Workflow } from './graph.js'
import { type Job, Member } from './member.js'
import { type ComfyMetrics, createMetrics } from './metrics.js'
import type { Missing } from './missing.js'
import { planStarts } from './plan.js'
import type { ComfyServer } from './server.js'
import { type Reduction, smaller, warmUpOf } from './shrink.js'
import type {
  ComfyDownloadOptions,
  ComfyOutput,
  ComfyProgress,
  ComfyRun,
  ComfyRunner,
  ComfyRunOptions,
} from './types.js'

/** Work that servers get ready for before the first task of its kind comes. */
export interface ComfyWarmUp {
  readonly workflow: Workflow
  readonly kind?: string
}

export interface ComfyPoolOptions
  extends Pick<ComfyClientOptions, 'pollMs' | 'graceMs' | 'runTimeoutMs'> {
  readonly servers: readonly ComfyServer[]
  /** Prompts that a server is given at once. Default 1: what waits here can still go elsewhere. */
  readonly slotsPerServer?: number
  /** How often servers are asked how they are. Default 2000 ms. */
  readonly healthMs?: number
  /** How long a workflow waits while no server can be reached. Default 10 000 ms. */
  readonly noServerMs?: number
  /** How often a workflow is tried in all, before its last failure counts. Default 6. */
  readonly attempts?: number
  /** Each is run small on a server when it comes up, so that the models are loaded before a task comes. */
  readonly warmUps?: readonly ComfyWarmUp[]
  /** How long all warm-ups of a server may take together. After it the server is given work as it is. Default 10 minutes. */
  readonly warmUpTimeoutMs?: number
}

export interface ComfyPoolModules {
  /** Sees every workflow before any server does. */
  readonly firewall: WorkflowFirewall
  readonly clock?: Clock
  readonly log?: Logger
  readonly registry?: Registry
}

/** What an operator wants to know of a server. */
export interface ComfyServerStatus {
  readonly server: string
  readonly state: 'up' | 'warming' | 'down'
  readonly device: string | undefined
  readonly vramFreeBytes: number
  /** Prompts given by this pool, and by others. */
  readonly running: number
  readonly foreign: number
}

interface Waiting extends Job {
  readonly tried: Tried
  readonly since: number
  readonly start: (place: Place) => void
  readonly fail: (error: unknown) => void
}

/** A server, and the ticket of what it was given. */
interface Place {
  readonly member: Member
  readonly ticket: symbol
}

/** What was learnt from earlier tries of one workflow. */
interface Tried {
  /** When it first came, among all. It keeps its place in the queue when it has to be tried again. */
  readonly arrival: number
  readonly refused: Map<Member, unknown>
  readonly memory: Map<Member, number>
  attempts: number
}

const MEMORY_PENALTY_MS = 600_000
const CHECK_MS = 15_000
/** The largest models from a slow disk. */
const WARM_UP_MS = 600_000

/**
 * Runs workflows on the server that will finish them first. What fails because of a server (it died,
 * it was restarted, its memory ran out) goes to another one; what fails because of the workflow does not.
 *
 *     const pool = new ComfyPool({ servers: parseComfyServers(addresses, tokens) }, { firewall })
 *     await pool.ready(signal)
 *     const run = await pool.run(workflow, { signal })
 */
export class ComfyPool implements ComfyRunner {
  readonly #options: ComfyPoolOptions
  readonly #firewall: WorkflowFirewall
  readonly #clock: Clock
  readonly #log: Logger
  readonly #metrics: ComfyMetrics
  readonly #members: readonly Member[]
  readonly #closing = new AbortController()
  readonly #waiting: Waiting[] = []
  readonly #loops: Promise<void>[] = []
  #first: Promise<void> | undefined
  #arrivals = 0

  constructor(options: ComfyPoolOptions, modules: ComfyPoolModules) {
    this.#options = options
    this.#firewall = modules.firewall
    this.#clock = modules.clock ?? new SystemClock()
    this.#log = modules.log ?? silentLog()
    this.#metrics = createMetrics(modules.registry ?? new Registry())
    this.#members = options.servers.map(
      (server) =>
        new Member(new ComfyClient({ ...options, server, clock: this.#clock, log: this.#log }), {
          clock: this.#clock,
          slots: options.slotsPerServer ?? 1,
        }),
    )
  }

  /** How the servers are. */
  get servers(): readonly ComfyServerStatus[] {
    return this.#members.map((member) => ({
      server: member.name,
      state: member.state,
      device: member.device,
      vramFreeBytes: member.vramFree,
      running: member.running,
      foreign: member.foreign,
    }))
  }

  /** Workflows that wait for a server. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Name of a server's graphics card, where known. */
  deviceOf(server: string): string | undefined {
    return this.#members.find((member) => member.name === server)?.device
  }

  async ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    // A server may load models for minutes: its caller decides how long to wait for that.
    await Promise.race([this.#start(), aborted(signal)])
    signal.throwIfAborted()
    if (!this.#members.some((member) => member.state === 'up')) throw this.#noServer()
  }

  check(workflow: Workflow): void {
    this.#firewall.check(workflow)
  }

  /**
   * Runs a workflow to its end, on whatever server.
   * @throws WorkflowError WORKFLOW_REFUSED before any server is called
   * @throws ComfyError
   */
  async run(workflow: Workflow, options: ComfyRunOptions): Promise<ComfyRun> {
    const checked = this.#firewall.check(workflow)
    setMaxListeners(0, options.signal)
    options.signal.throwIfAborted()
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason
    void this.#start()
    try {
      const run = await this.#persist(checked, options)
      this.#metrics.runs.inc({ code: 'OK' })
      this.#metrics.run.observe(run.durationMs / 1000)
      return run
    } catch (error) {
      const code = error instanceof ComfyError ? error.code : isAbort(error) ? 'ABORTED' : 'UNKNOWN'
      this.#metrics.runs.inc({ code })
      throw error
    }
  }

  async download(
    run: ComfyRun,
    output: ComfyOutput,
    path: string,
    options: ComfyDownloadOptions,
  ): Promise<void> {
    const member = this.#members.find(({ name }) => name === run.server)
    if (member === undefined) throw this.#noServer()
    await member.client.download(run, output, path, options)
  }

  async close(): Promise<void> {
    const reason = new DOMException('the pool was closed', 'AbortError')
    this.#closing.abort(reason)
    for (const job of this.#waiting.splice(0)) job.fail(reason)
    await Promise.all(this.#loops)
    await Promise.all(this.#members.map((member) => member.client.close()))
  }

  async #persist(workflow: Workflow, options: ComfyRunOptions): Promise<ComfyRun> {
    let current = workflow
    let reduction: Reduction | undefined
    const arrival = this.#arrivals
    this.#arrivals += 1
    let tried: Tried = { arrival, refused: new Map(), memory: new Map(), attempts: 0 }
    const onProgress = rising(options.onProgress)
    for (;;) {
      const needs = this.#firewall.needsOf(current)
      const job = { kind: options.kind ?? kindOf(current, needs), needs }
      try {
        const run = await this.#once(job, tried, current, { ...options, onProgress })
        return reduction === undefined ? run : { ...run, reduced: reduction }
      } catch (error) {
        if (options.signal.aborted) throw error
        if (this.#mayTryAgain(error, tried)) {
          this.#moved(error, job.kind)
          continue
        }
        const next = isOutOfMemory(error) ? smaller(current) : undefined
        if (next === undefined) throw error
        current = next.workflow
        reduction = next.reduction
        tried = { arrival, refused: new Map(), memory: new Map(), attempts: 0 }
        this.#log.warn(
          { event: 'comfy-run.reduced', kind: job.kind, reduction },
          'memory ran out everywhere; trying with less',
        )
      }
    }
  }

  /** One try on one server. */
  async #once(
    job: Job,
    tried: Tried,
    workflow: Workflow,
    options: ComfyRunOptions,
  ): Promise<ComfyRun> {
    const { member, ticket } = await this.#place(job, tried, options.signal)
    let promptId: string | undefined
    let done: ComfyRun | undefined
    try {
      const asked = member.missing(workflow)
      await Promise.race([asked, aborted(options.signal)])
      options.signal.throwIfAborted()
      const missing = await asked
      if (missing.nodes.length + missing.models.length > 0) throw lacking(member.name, missing)
      // Known before the server is asked: it may take a prompt without anybody hearing of it.
      promptId = randomUUID()
      done = await member.client.run(workflow, {
        ...options,
        promptId,
        onSubmitted: (id, server) => {
          promptId = id
          options.onSubmitted?.(id, server)
        },
      })
      return done
    } catch (error) {
      if (!options.signal.aborted) await this.#blame(member, job, tried, { error, promptId })
      throw error
    } finally {
      member.release(ticket, done)
      this.#dispatch()
    }
  }

  /** Draws from a failure what it says about the server. */
  async #blame(
    member: Member,
    job: Job,
    tried: Tried,
    { error, promptId }: { error: unknown; promptId: string | undefined },
  ): Promise<void> {
    if (!(error instanceof ComfyError)) return
    tried.attempts += 1
    switch (error.code) {
      case 'COMFY_UNREACHABLE':
      case 'COMFY_TIMEOUT':
        if (promptId !== undefined) member.orphan(promptId)
        if (member.failed(error)) this.#lost(member, error)
        break
      case 'COMFY_OUT_OF_MEMORY': {
        const times = (tried.memory.get(member) ?? 0) + 1
        tried.memory.set(member, times)
        const alone = !this.#others(member).some((other) => other.state === 'up')
        // Alone, it is tried once more with an empty memory; else others come first.
        if (times > 1 || !alone) tried.refused.set(member, error)
        await member.free(job, this.#closing.signal).catch((failure: unknown) => {
          if (member.failed(failure)) this.#lost(member, failure)
        })
        break
      }
      case 'COMFY_PROMPT_LOST':
        break
      default:
        tried.refused.set(member, error)
    }
  }

  #mayTryAgain(error: unknown, tried: Tried): boolean {
    if (!(error instanceof ComfyError) || error.code === 'COMFY_NO_SERVER') return false
    if (!error.retryable || tried.attempts >= (this.#options.attempts ?? 6)) return false
    return this.#members.some((member) => !tried.refused.has(member))
  }

  #moved(error: unknown, kind: string): void {
    const code = error instanceof ComfyError ? error.code : 'UNKNOWN'
    this.#metrics.moves.inc({ code })
    this.#log.warn({ event: 'comfy-run.moved', kind, code }, 'a workflow is tried again')
  }

  /** Waits for a server. */
  async #place(job: Job, tried: Tried, signal: AbortSignal): Promise<Place> {
    const { promise, resolve, reject } = withResolvers<Place>()
    const since = this.#clock.monotonic()
    const waiting: Waiting = { ...job, tried, since, start: resolve, fail: reject }
    const onAbort = () => {
      this.#drop(waiting)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const later = this.#waiting.findIndex((other) => other.tried.arrival > tried.arrival)
    this.#waiting.splice(later < 0 ? this.#waiting.length : later, 0, waiting)
    this.#dispatch()
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#metrics.wait.observe((this.#clock.monotonic() - since) / 1000)
    }
  }

  #drop(job: Waiting): void {
    const index = this.#waiting.indexOf(job)
    if (index >= 0) this.#waiting.splice(index, 1)
    this.#metrics.waiting.set(this.#waiting.length)
  }

  /** Starts what can start, and fails what has waited too long for a server to come up. */
  #dispatch(): void {
    const up = this.#members.filter((member) => member.state === 'up')
    const starts = planStarts(up, this.#waiting, (member, job) => this.#cost(member, job))
    for (const { job, server } of starts) {
      this.#drop(job)
      job.start({ member: server, ticket: server.give(job, this.#others(server)) })
    }
    const patience = this.#options.noServerMs ?? 10_000
    for (const job of [...this.#waiting]) {
      const hopes = this.#members.some((m) => m.state !== 'down' && !job.tried.refused.has(m))
      if (hopes || this.#clock.monotonic() - job.since < patience) continue
      this.#drop(job)
      job.fail([...job.tried.refused.values()].at(-1) ?? this.#noServer())
    }
    this.#metrics.waiting.set(this.#waiting.length)
  }

  #cost(member: Member, job: Waiting): number | undefined {
    if (job.tried.refused.has(member)) return undefined
    const penalty = member.isTooSmallFor(job) ? MEMORY_PENALTY_MS : 0
    return member.expectedMs(job, this.#others(member)) + penalty
  }

  #others(member: Member): readonly Member[] {
    return this.#members.filter((other) => other !== member)
  }

  /** Begins to watch the servers. Resolves when one of them is up; rejects when none came up at first. */
  #start(): Promise<unknown> {
    this.#first ??= Promise.any(
      this.#members.map((member) => {
        const { promise, resolve, reject } = withResolvers<void>()
        this.#loops.push(
          runEvery(
            {
              clock: this.#clock,
              signal: this.#closing.signal,
              everyMs: this.#options.healthMs ?? 2000,
              onError: reject,
            },
            async (signal) => {
              await this.#check(member, signal)
              if (member.state === 'up') resolve()
              else reject(this.#noServer())
            },
          ),
        )
        return promise
      }),
    )
    return this.#first.catch(() => undefined)
  }

  async #check(member: Member, signal: AbortSignal): Promise<void> {
    try {
      using limit = new Deadline(CHECK_MS, signal)
      const isBack = await member.look(limit.signal)
      if (isBack) {
        using limit = new Deadline(this.#options.warmUpTimeoutMs ?? WARM_UP_MS, signal)
        await this.#warmUp(member, limit.signal, signal)
        member.warmed()
        this.#log.info({ event: 'comfy-server.joined', server: member.name }, 'a server is up')
      }
    } catch (error) {
      if (signal.aborted) return
      if (member.failed(error)) this.#lost(member, error)
    }
    for (const state of ['up', 'warming', 'down'] as const) {
      const count = this.#members.filter((other) => other.state === state).length
      this.#metrics.servers.set({ state }, count)
    }
    this.#dispatch()
  }

  /** Under `limit`, whose end is no failure of the server; `signal` is the pool's own. */
  async #warmUp(member: Member, limit: AbortSignal, signal: AbortSignal): Promise<void> {
    for (const { workflow, kind } of this.#options.warmUps ?? []) {
      const { workflow: small, files } = warmUpOf(workflow)
      const needs = this.#firewall.needsOf(small)
      const job = { kind: `warm-up of ${kind ?? kindOf(workflow, needs)}`, needs }
      if (limit.aborted) return
      const missing = await member.missing(small)
      if (missing.nodes.length + missing.models.length > 0) continue
      const ticket = member.give(job, this.#others(member))
      let run: ComfyRun | undefined
      try {
        for (const { name, bytes } of files) await member.client.api.upload(name, bytes, limit)
        run = await member.client.run(small, { signal: limit })
      } catch (error) {
        if (signal.aborted || (error instanceof ComfyError && error.code === 'COMFY_UNREACHABLE'))
          throw error
        this.#log.warn(
          { event: 'comfy-server.warm-up-failed', server: member.name, err: error },
          'a server could not be warmed up',
        )
      } finally {
        member.release(ticket, run)
      }
    }
  }

  #lost(member: Member, error: unknown): void {
    this.#log.warn(
      { event: 'comfy-server.left', server: member.name, reason: describeError(error) },
      'a server is down',
    )
  }

  #noServer(): ComfyError {
    const servers = this.#members.map((member) => member.name)
    return new ComfyError(
      { code: 'COMFY_NO_SERVER', servers },
      `none of ${servers.length} ComfyUI servers can be reached`,
      { retryable: true },
    )
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof ComfyError && error.code === 'COMFY_OUT_OF_MEMORY'
}

function lacking(server: string, missing: Missing): ComfyError {
  const names = [
    ...missing.nodes.map(({ nodeId, classType }) => `class ${classType} (node ${nodeId})`),
    ...missing.models.map(({ nodeId, name }) => `model ${name} (node ${nodeId})`),
  ]
  return new ComfyError(
    { code: 'COMFY_MISSING', server, nodes: missing.nodes, models: missing.models },
    `${server} lacks ${names.slice(0, 10).join(', ')}`,
    { retryable: true },
  )
}

/** A name for work that takes as long per frame: same nodes, models, size and steps. */
function kindOf(workflow: Workflow, needs: WorkflowNeeds): string {
  const nodes = Object.values(workflow).map(({ class_type, inputs }) => [
    class_type,
    Number(inputs['steps'] ?? 0),
  ])
  const text = JSON.stringify([nodes.sort(), needs.models, needs.framePixels])
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

/** Lets only progress through that is more than before: a run that moved begins again. */
function rising(report: ComfyRunOptions['onProgress']): (progress: ComfyProgress) => void {
  let most = 0
  return (progress) => {
    if (progress.fraction <= most) return
    most = progress.fraction
    report?.(progress)
  }
}
