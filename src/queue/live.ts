import type { Redis } from 'ioredis'
import { z } from 'zod'

/** What a worker tells of a job while it runs. */
const liveEventSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('submitted'), promptId: z.string() }),
  z.object({
    kind: z.literal('progress'),
    /** 0–1. */
    fraction: z.number(),
    nodeId: z.string().optional(),
  }),
  z.object({
    kind: z.literal('preview'),
    mime: z.string(),
    /** The image, in base64. */
    image: z.string(),
  }),
  z.object({ kind: z.literal('ended'), ok: z.boolean() }),
])
export type LiveEvent = z.infer<typeof liveEventSchema>

/** The newest event of each kind. */
export type LiveState = { readonly [K in LiveEvent['kind']]?: Extract<LiveEvent, { kind: K }> }

/** As long as anybody may look. */
const TTL_SECONDS = 3_600

/**
 * What a job shows while it runs, in Redis: workers and axon may be different processes. It is for
 * looking at: nothing depends on it, and what is missed is gone but for the newest of each kind.
 */
export class LiveFeed {
  readonly #redis: Redis
  readonly #prefix: string
  readonly #listeners = new Map<string, Set<(event: LiveEvent) => void>>()
  #subscriber: Redis | undefined

  /** `redis` is not closed with the feed. */
  constructor(redis: Redis, prefix = '{subreel}') {
    this.#redis = redis
    this.#prefix = `${prefix}:live:`
  }

  async publish(jobId: string, event: LiveEvent): Promise<void> {
    const key = this.#prefix + jobId
    const text = JSON.stringify(event)
    await this.#redis
      .multi()
      .hset(key, event.kind, text)
      .expire(key, TTL_SECONDS)
      .publish(key, text)
      .exec()
  }

  async state(jobId: string): Promise<LiveState> {
    const fields = await this.#redis.hgetall(this.#prefix + jobId)
    return Object.fromEntries(
      Object.entries(fields).flatMap(([kind, text]) => {
        const event = parsed(text)
        return event === undefined ? [] : [[kind, event]]
      }),
    )
  }

  /** Forgets a job, so that its next run begins blank. */
  async forget(jobId: string): Promise<void> {
    await this.#redis.del(this.#prefix + jobId)
  }

  /** Calls `listener` with each event from now on. Returns what ends that. */
  async watch(jobId: string, listener: (event: LiveEvent) => void): Promise<() => void> {
    const channel = this.#prefix + jobId
    const subscriber = this.#subscribed()
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners.add(listener))
    await subscriber.subscribe(channel)
    return () => {
      listeners.delete(listener)
      if (listeners.size > 0) return
      this.#listeners.delete(channel)
      subscriber.unsubscribe(channel).catch(() => {})
    }
  }

  close(): void {
    this.#subscriber?.disconnect()
  }

  #subscribed(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    const subscriber = this.#redis.duplicate({ enableOfflineQueue: true, commandTimeout: 5_000 })
    subscriber.on('error', () => {}) // the connection it was made from says so
    subscriber.on('message', (channel, text) => {
      const event = parsed(text)
      if (event === undefined) return
      for (const listener of this.#listeners.get(channel) ?? []) listener(event)
    })
    this.#subscriber = subscriber
    return subscriber
  }
}

function parsed(text: string): LiveEvent | undefined {
  try {
    return liveEventSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
