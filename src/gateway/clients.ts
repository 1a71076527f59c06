import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Clock } from '../lib/clock.js'
import type { Secret } from '../lib/secret.js'
import { GatewayError } from './errors.js'

const KEY = /^[A-Za-z0-9_-]{16,256}$/
const NAME = /^[A-Za-z0-9_.-]{1,64}$/
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

export interface ClientLimits {
  readonly dailyQuota: number
  readonly ratePerMinute: number
}

/** Who may use the gateway, and how much. Keys are kept and compared as hashes only. */
export class Clients {
  readonly #names: ReadonlyMap<string, string>
  readonly #redis: Redis
  readonly #clock: Clock
  readonly #limits: ClientLimits

  /** @throws GatewayError GATEWAY_KEYS_INVALID */
  constructor(
    keys: readonly Secret<string>[],
    limits: ClientLimits,
    modules: { redis: Redis; clock: Clock },
  ) {
    const names = new Map<string, string>()
    for (const pair of keys) {
      if (pair.reveal() === '') continue
      const [name = '', key = ''] = pair.reveal().split(':')
      if (!NAME.test(name) || !KEY.test(key)) {
        throw new GatewayError(
          { code: 'GATEWAY_KEYS_INVALID' },
          `the API key of ${JSON.stringify(name)} is malformed: give name:key with 16 to 256 letters, digits, _ or -`,
        )
      }
      names.set(hash(key), name)
    }
    if (names.size === 0)
      throw new GatewayError(
        { code: 'GATEWAY_KEYS_INVALID' },
        'no API key is configured: set gateway.keys',
      )
    this.#names = names
    this.#limits = limits
    this.#redis = modules.redis
    this.#clock = modules.clock
  }

  /**
   * The client behind a key, counted against its rate.
   * @throws GatewayError GATEWAY_KEY_MISSING, GATEWAY_KEY_UNKNOWN, GATEWAY_RATE_LIMITED
   */
  async admit(key: string | undefined): Promise<string> {
    if (key === undefined || key === '') {
      throw new GatewayError({ code: 'GATEWAY_KEY_MISSING' }, 'send an API key as X-API-Key')
    }
    // A map of hashes: looking one up tells nothing of how much of a key was right.
    const client = this.#names.get(hash(key))
    if (client === undefined)
      throw new GatewayError({ code: 'GATEWAY_KEY_UNKNOWN' }, 'the API key is not known')
    const now = this.#clock.now()
    const used = await this.#count(`rate:${client}:${Math.floor(now / MINUTE_MS)}`, MINUTE_MS)
    if (used > this.#limits.ratePerMinute) {
      const retryAfterSeconds = Math.ceil((MINUTE_MS - (now % MINUTE_MS)) / 1000)
      throw new GatewayError(
        { code: 'GATEWAY_RATE_LIMITED', retryAfterSeconds },
        `more than ${this.#limits.ratePerMinute} requests in a minute`,
      )
    }
    return client
  }

  /** Counts a job against the day's quota. @throws GatewayError GATEWAY_QUOTA_USED */
  async spend(client: string): Promise<void> {
    const used = await this.#count(
      `quota:${client}:${Math.floor(this.#clock.now() / DAY_MS)}`,
      DAY_MS,
    )
    const { dailyQuota } = this.#limits
    if (used > dailyQuota) {
      throw new GatewayError(
        { code: 'GATEWAY_QUOTA_USED', quota: dailyQuota },
        `the ${dailyQuota} jobs of the day are used`,
      )
    }
  }

  async #count(name: string, windowMs: number): Promise<number> {
    const key = `{subreel}:gateway:${name}`
    const used = await this.#redis.incr(key)
    if (used === 1) await this.#redis.pexpire(key, 2 * windowMs)
    return used
  }
}

const hash = (key: string) => createHash('sha256').update(key).digest('hex')
