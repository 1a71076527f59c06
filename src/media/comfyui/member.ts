import type { Clock } from '../../lib/clock.js'
import { type ComfyStats, NOTHING_KNOWN } from './api.js'
import type { ComfyClient } from './client.js'
import { ComfyError } from './errors.js'
import type { WorkflowNeeds } from './firewall.js'
import type { Workflow } from './graph.js'
import { type Missing, missingFrom } from './missing.js'
import type { Candidate } from './plan.js'
import { expectedMsPerFrame, ServerSpeeds } from './speeds.js'
import type { ComfyRun } from './types.js'

/** Work that a pool has been asked for. */
export interface Job {
  readonly kind: string
  readonly needs: WorkflowNeeds
}

interface Given {
  readonly job: Job
  readonly startedAt: number
  readonly expectedMs: number
  /** Other servers that worked on the same card when this began. */
  readonly sharing: number
  /** The server had prompts of others: how long this took says nothing. */
  readonly disturbed: boolean
  readonly cold: boolean
}

/** `/object_info` is large, and what it lists changes when an operator installs something. */
const INFO_TTL_MS = 60_000
/** Of somebody else's prompts nothing is known before the first run here. */
const FOREIGN_MS = 10_000
/** A job may take longer than expected; the rest is guessed as a share of what it should have taken. */
const OVERDUE_SHARE = 0.1
const MAX_ORPHANS = 100
const FAILURES_TO_BE_DOWN = 2

/** One server of a pool: what is known of it and what it has been given. */
export class Member implements Candidate {
  readonly client: ComfyClient
  readonly speeds = new ServerSpeeds()
  readonly #clock: Clock
  readonly #slots: number
  readonly #given = new Map<symbol, Given>()
  readonly #orphans: string[] = []
  /** Kinds of work that did not fit into its memory. */
  readonly #tooSmall = new Set<string>()
  #state: 'up' | 'warming' | 'down' = 'down'
  #failures = 0
  #stats: ComfyStats = NOTHING_KNOWN
  #foreign = 0
  #loaded: ReadonlySet<string> = new Set()
  #info: { readonly at: number; readonly value: Promise<unknown> } | undefined

  constructor(client: ComfyClient, options: { readonly clock: Clock; readonly slots: number }) {
    this.client = client
    this.#clock = options.clock
    this.#slots = options.slots
  }

  get name(): string {
    return this.client.api.server.name
  }

  get state(): 'up' | 'warming' | 'down' {
    return this.#state
  }

  get freeSlots(): number {
    return this.#slots - this.#given.size
  }

  get working(): boolean {
    return this.#given.size + this.#foreign > 0
  }

  get running(): number {
    return this.#given.size
  }

  /** Prompts on the server that this pool did not give. */
  get foreign(): number {
    return this.#foreign
  }

  get vramFree(): number {
    return this.#stats.devices[0]?.vramFree ?? 0
  }

  get device(): string | undefined {
    const device = this.#stats.devices[0]
    return device === undefined ? undefined : cardOf(device.name)
  }

  get group(): string {
    const device = this.#stats.devices[0]
    return `${this.client.api.server.url.hostname} ${device?.index ?? device?.name ?? ''}`
  }

  get busyMs(): number {
    let sum = this.#foreign * (this.speeds.jobMs ?? FOREIGN_MS)
    for (const { startedAt, expectedMs } of this.#given.values()) {
      const left = expectedMs - (this.#clock.monotonic() - startedAt)
      sum += Math.max(left, expectedMs * OVERDUE_SHARE)
    }
    return sum
  }

  /** How long a job would take here, its models loaded first if need be. */
  expectedMs(job: Job, others: readonly Member[]): number {
    const speeds = others.map((other) => other.speeds)
    const msPerFrame = expectedMsPerFrame(job.kind, this.speeds, speeds)
    return msPerFrame * job.needs.frames + (this.#isLoaded(job) ? 0 : this.speeds.loadMs)
  }

  /** Whether work of this kind did not fit into this server's memory, when last tried. */
  isTooSmallFor(job: Job): boolean {
    return this.#tooSmall.has(job.kind)
  }

  /** Asks the server how it is. True when it is to be made ready: it came back, or was not made ready last time. @throws ComfyError */
  async look(signal: AbortSignal): Promise<boolean> {
    const { api } = this.client
    const [stats, queue] = await Promise.all([api.stats(signal), api.queue(signal)])
    this.#stats = stats
    this.#failures = 0
    this.#foreign = Math.max(0, queue.running.length + queue.pending.length - this.#given.size)
    for (let id = this.#orphans[0]; id !== undefined; id = this.#orphans[0]) {
      await this.client.cancel(id, signal)
      this.#orphans.shift()
    }
    if (this.#state === 'up') return false
    this.#state = 'warming'
    // What it ran before it went away, and what memory it has, may be otherwise now.
    this.#loaded = new Set()
    this.#tooSmall.clear()
    this.#info = undefined
    return true
  }

  /** It can be given work. */
  warmed(): void {
    if (this.#state === 'warming') this.#state = 'up'
  }

  /** Takes note of a failed call. True when it went down by it. */
  failed(error: unknown): boolean {
    this.#failures += 1
    const gone = error instanceof ComfyError && error.code === 'COMFY_UNREACHABLE'
    if (this.#state === 'down' || (!gone && this.#failures < FAILURES_TO_BE_DOWN)) return false
    this.#state = 'down'
    return true
  }

  /** Prompts that it may still run although their jobs went elsewhere: cancelled when it is back. */
  orphan(promptId: string): void {
    this.#orphans.push(promptId)
    if (this.#orphans.length > MAX_ORPHANS) this.#orphans.shift()
  }

  give(job: Job, others: readonly Member[]): symbol {
    const ticket = Symbol(job.kind)
    const sharing = others.filter((other) => other.group === this.group && other.working).length
    this.#given.set(ticket, {
      job,
      startedAt: this.#clock.monotonic(),
      expectedMs: this.expectedMs(job, others),
      sharing,
      disturbed: this.working,
      cold: !this.#isLoaded(job),
    })
    return ticket
  }

  /** The job is no longer here. `run` when it ended well. */
  release(ticket: symbol, run?: ComfyRun): void {
    const given = this.#given.get(ticket)
    this.#given.delete(ticket)
    if (given === undefined || run === undefined) return
    const { job, cold, disturbed, sharing } = given
    this.#loaded = new Set(job.needs.models)
    this.#tooSmall.delete(job.kind)
    if (run.cached || disturbed) return
    const ms = run.durationMs / (1 + sharing)
    this.speeds.learn({ kind: job.kind, frames: job.needs.frames, ms, cold })
  }

  /** Memory ran out: makes room for the next try. */
  async free(job: Job, signal: AbortSignal): Promise<void> {
    this.#tooSmall.add(job.kind)
    this.#loaded = new Set()
    await this.client.api.free(signal)
  }

  /** What the workflow needs and the server lacks. @throws ComfyError */
  async missing(workflow: Workflow): Promise<Missing> {
    const now = this.#clock.monotonic()
    if (this.#info === undefined || now - this.#info.at > INFO_TTL_MS) {
      // Not under one caller's signal: the answer serves all.
      const value = this.client.api.objectInfo()
      this.#info = { at: now, value }
      value.catch(() => {
        this.#info = undefined
      })
    }
    return missingFrom(await this.#info.value, workflow)
  }

  #isLoaded(job: Job): boolean {
    return job.needs.models.every((model) => this.#loaded.has(model))
  }
}

/** A card's name without its number and allocator: `cuda:0 NVIDIA L4 : native` is an `NVIDIA L4`. */
export function cardOf(device: string): string {
  return device.replace(/^\w+:\d+ /, '').replace(/ : \w*$/, '')
}
