import type { Redis } from 'ioredis'

/** Passes on messages of Redis channels. All listeners share one connection, opened at the first. */
export class Changes {
  readonly #redis: Redis
  readonly #listeners = new Map<string, Set<() => void>>()
  #subscriber: Redis | undefined

  constructor(redis: Redis) {
    this.#redis = redis
  }

  /** Calls `onMessage` for each message until the returned function is called. */
  async listen(channel: string, onMessage: () => void): Promise<() => void> {
    const subscriber = this.#open()
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners)
    listeners.add(onMessage)
    if (listeners.size === 1) await subscriber.subscribe(channel)
    return () => {
      listeners.delete(onMessage)
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return
      this.#listeners.delete(channel)
      subscriber.unsubscribe(channel).catch(() => {})
    }
  }

  close(): void {
    this.#subscriber?.disconnect()
  }

  #open(): Redis {
    if (this.#subscriber !== undefined) return this.#subscriber
    // It waits for a Redis that is away, and subscribes again by itself.
    const subscriber = this.#redis.duplicate({
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
    })
    subscriber.on('error', () => {})
    subscriber.on('message', (channel: string) => {
      for (const tell of this.#listeners.get(channel) ?? []) tell()
    })
    this.#subscriber = subscriber
    return subscriber
  }
}
