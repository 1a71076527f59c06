import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { Clock } from '../lib/clock.js'
import type { Rng } from '../lib/rng.js'
import { Changes } from './changes.js'

/** What users see of a job. */
export const ORGANIC_STATES = ['queued', 'processing', 'completed', 'failed'] as const
export type OrganicState = (typeof ORGANIC_STATES)[number]

/** Kinds of work that users may ask for. */
export const ORGANIC_KINDS = ['compression', 'upscaling', 'generation'] as const
export type OrganicKind = (typeof ORGANIC_KINDS)[number]

/** What a job may be submitted as; the first starts first. */
export const ORGANIC_PRIORITIES = ['urgent', 'high', 'normal', 'low'] as const
export type OrganicPriority = (typeof ORGANIC_PRIORITIES)[number]

export interface OrganicRequest {
  readonly client: string
  readonly kind: OrganicKind
  readonly priority: OrganicPriority
  /** As the validator's tasks take them; `url` is the source, where there is one. */
  readonly params: Readonly<Record<string, unknown>>
  readonly timeoutSeconds: number
  /** The same key of the same client is the same job. */
  readonly idempotencyKey?: string
}

const JobRecord = z.object({
  id: z.string(),
  client: z.string(),
  kind: z.enum(ORGANIC_KINDS),
  // Records written before there were priorities have none.
  priority: z.enum(ORGANIC_PRIORITIES).default('normal'),
  params: z.record(z.string(), z.unknown()),
  timeoutSeconds: z.number(),
  state: z.enum(ORGANIC_STATES),
  createdAt: z.number(),
  updatedAt: z.number(),
  resultUrl: z.string().optional(),
  error: z.string().optional(),
})
export type OrganicJob = z.output<typeof JobRecord>

export interface OrganicChange {
  readonly state: OrganicState
  readonly resultUrl?: string
  readonly error?: string
}

const TTL_SECONDS = 3 * 86_400
const LOOK_AGAIN_MS = 15_000

/** Adds a job unless its idempotency key (with ARGV[4] = 1) names one. KEYS: key, record, list. Returns the id. */
const SUBMIT = `
if ARGV[4] == '1' then
  local known = redis.call('GET', KEYS[1])
  if known then return known end
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
redis.call('LPUSH', KEYS[3], ARGV[1])
return ARGV[1]`

/** Moves the oldest job of the first list that has one. KEYS: taken, then the lists. Returns the id. */
const TAKE = `
for place = 2, #KEYS do
  local id = redis.call('LMOVE', KEYS[place], KEYS[1], 'RIGHT', 'LEFT')
  if id then return id end
end
return false`

/**
 * Jobs of users between the gateway and the validator, in Redis: a record per job, a list of those
 * waiting for each priority and one of those a validator has taken but not yet stored. Nothing is lost
 * by a crash on either side: what was taken and not acknowledged is taken again.
 */
export class OrganicJobs {
  readonly #redis: Redis
  readonly #clock: Clock
  readonly #rng: Rng
  readonly #prefix: string
  readonly #changes: Changes

  constructor(modules: { redis: Redis; clock: Clock; rng: Rng }, prefix = '{subreel}:organic') {
    this.#redis = modules.redis
    this.#clock = modules.clock
    this.#rng = modules.rng
    this.#prefix = prefix
    this.#changes = new Changes(modules.redis)
  }

  /** Adds a job, or returns the one its idempotency key names. */
  async submit(
    request: OrganicRequest,
  ): Promise<{ readonly id: string; readonly duplicate: boolean }> {
    const id = Buffer.from(this.#rng.bytes(16)).toString('hex')
    const { idempotencyKey, ...rest } = request
    const now = this.#clock.now()
    const record: OrganicJob = {
      ...rest,
      params: { ...rest.params },
      id,
      state: 'queued',
      createdAt: now,
      updatedAt: now,
    }
    const keyed = idempotencyKey !== undefined
    const key = this.#idempotencyKey(request.client, idempotencyKey ?? '')
    const known = await this.#redis.eval(
      SUBMIT,
      3,
      key,
      this.#recordKey(id),
      this.#waiting(request.priority),
      id,
      JSON.stringify(record),
      TTL_SECONDS,
      keyed ? '1' : '0',
    )
    return { id: String(known), duplicate: known !== id }
  }

  async get(id: string): Promise<OrganicJob | undefined> {
    const text = await this.#redis.get(this.#recordKey(id))
    return text === null ? undefined : JobRecord.parse(JSON.parse(text))
  }

  /** Jobs that wait for a validator. */
  async waiting(): Promise<number> {
    const lengths = await Promise.all(this.#lists().map((list) => this.#redis.llen(list)))
    return lengths.reduce((sum, length) => sum + length, 0)
  }

  /** Takes the oldest waiting job of the greatest priority; acknowledge it once it is stored. */
  async take(): Promise<OrganicJob | undefined> {
    const lists = [this.#taken(), ...this.#lists()]
    const found = await this.#redis.eval(TAKE, lists.length, ...lists)
    if (found === null) return undefined
    const id = String(found)
    const job = await this.get(id)
    // The record has expired: nobody asks for it any more.
    if (job === undefined) await this.acknowledge(id)
    return job
  }

  async acknowledge(id: string): Promise<void> {
    await this.#redis.lrem(this.#taken(), 0, id)
  }

  /** Puts back what was taken and never acknowledged, at start: before all others, for it was their turn. */
  async recover(): Promise<number> {
    const first = this.#waiting('urgent')
    let moved = 0
    while ((await this.#redis.lmove(this.#taken(), first, 'LEFT', 'RIGHT')) !== null) moved += 1
    return moved
  }

  /** Writes a change and tells whoever watches. Unknown jobs are left alone: rows inserted by hand have no record. */
  async update(id: string, change: OrganicChange): Promise<void> {
    const job = await this.get(id)
    if (job === undefined) return
    const changed: OrganicJob = { ...job, ...change, updatedAt: this.#clock.now() }
    await this.#redis.set(this.#recordKey(id), JSON.stringify(changed), 'EX', TTL_SECONDS)
    await this.#redis.publish(this.#channel(id), change.state)
  }

  /** The job that an idempotency key of this client names. */
  async known(client: string, idempotencyKey: string): Promise<string | undefined> {
    return (await this.#redis.get(this.#idempotencyKey(client, idempotencyKey))) ?? undefined
  }

  /**
   * The job now, after every change, and every fifteen seconds, which shows what was announced while
   * Redis was away; until it has ended or the signal aborts.
   */
  async *watch(id: string, signal: AbortSignal): AsyncGenerator<OrganicJob> {
    let wake = () => {}
    const stopListening = await this.#changes.listen(this.#channel(id), () => wake())
    try {
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve
        })
        const job = await this.get(id)
        if (job === undefined || signal.aborted) return
        yield job
        if (job.state === 'completed' || job.state === 'failed') return
        await this.#sleepUntil(changed, signal)
      }
    } finally {
      stopListening()
    }
  }

  /** Ends what `watch` opened. */
  close(): void {
    this.#changes.close()
  }

  async #sleepUntil(changed: Promise<void>, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    const wake = () => woken.abort()
    signal.addEventListener('abort', wake, { once: true })
    const slept = this.#clock.sleep(LOOK_AGAIN_MS, woken.signal).catch(() => {})
    await Promise.race([changed, slept])
    signal.removeEventListener('abort', wake)
    wake()
  }

  #idempotencyKey(client: string, key: string): string {
    return `${this.#prefix}:key:${client}:${key}`
  }

  #recordKey(id: string): string {
    return `${this.#prefix}:job:${id}`
  }

  #taken(): string {
    return `${this.#prefix}:taken`
  }

  #waiting(priority: OrganicPriority): string {
    return `${this.#prefix}:waiting${priority === 'normal' ? '' : `:${priority}`}`
  }

  #lists(): string[] {
    return ORGANIC_PRIORITIES.map((priority) => this.#waiting(priority))
  }

  #channel(id: string): string {
    return `${this.#prefix}:changed:${id}`
  }
}
