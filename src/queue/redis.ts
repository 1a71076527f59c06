import { Redis, type RedisOptions } from 'ioredis'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { QueueError } from './errors.js'

/** Oldest Redis whose commands the queue uses. */
const MIN_VERSION = [6, 2] as const

/** No reconnect waits longer: a worker is back within seconds of Redis. */
const MAX_RECONNECT_MS = 2_000

type Patience = Pick<
  RedisOptions,
  'enableOfflineQueue' | 'maxRetriesPerRequest' | 'connectTimeout' | 'commandTimeout'
>

function connect(url: string, log: Logger, role: string, options: Patience): Redis {
  const retryStrategy = (times: number): number =>
    Math.min(100 * 2 ** Math.min(times, 6), MAX_RECONNECT_MS)
  const redis = new Redis(url, { ...options, retryStrategy })
  let down = false
  redis.on('error', (error: Error) => {
    if (!down)
      log.warn({ event: 'redis.disconnected', role, reason: describeError(error) }, 'Redis is away')
    down = true
  })
  redis.on('ready', () => {
    if (down) log.info({ event: 'redis.reconnected', role }, 'Redis is back')
    down = false
  })
  return redis
}

/**
 * A connection for callers that must answer soon: while Redis is away a command fails at once, and
 * when it hangs after `commandTimeoutMs`.
 */
export function connectProducer(url: string, log: Logger, commandTimeoutMs = 2_000): Redis {
  return connect(url, log, 'producer', {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: commandTimeoutMs,
    commandTimeout: commandTimeoutMs,
  })
}

/** A connection for workers: commands wait for Redis to come back. */
export function connectWorker(url: string, log: Logger, role = 'worker'): Redis {
  return connect(url, log, role, { maxRetriesPerRequest: null })
}

/** Resolves when the connection is usable, rejects with QUEUE_UNAVAILABLE after `timeoutMs`. */
export async function whenReady(redis: Redis, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready') return
  const timeout = AbortSignal.timeout(timeoutMs)
  await new Promise<void>((resolve, reject) => {
    const onReady = () => {
      timeout.removeEventListener('abort', onTimeout)
      resolve()
    }
    const onTimeout = () => {
      redis.off('ready', onReady)
      reject(unavailable(new Error(`no connection within ${timeoutMs} ms`)))
    }
    redis.once('ready', onReady)
    timeout.addEventListener('abort', onTimeout, { once: true })
  })
}

/** Every failure of a producer's command means the same to its caller. */
export function unavailable(cause: unknown): QueueError {
  return new QueueError(
    { code: 'QUEUE_UNAVAILABLE' },
    'Redis does not answer; the task was not accepted, try again when it is back',
    { cause, retryable: true },
  )
}

export interface RedisFacts {
  readonly version: string
  /** `unknown` where the server does not show its configuration, as hosted ones do. */
  readonly maxmemoryPolicy: string
  readonly appendonly: string
}

/** Reads what the queue depends on. @throws QueueError QUEUE_UNAVAILABLE */
export async function redisFacts(redis: Redis): Promise<RedisFacts> {
  const setting = async (name: string): Promise<string> => {
    try {
      const reply: unknown = await redis.config('GET', name)
      const value: unknown = Array.isArray(reply) ? reply[1] : undefined
      return typeof value === 'string' ? value : 'unknown'
    } catch {
      return 'unknown'
    }
  }
  try {
    const info = await redis.info('server')
    return {
      version: /^redis_version:(.+?)\r?$/m.exec(info)?.[1] ?? '0',
      maxmemoryPolicy: await setting('maxmemory-policy'),
      appendonly: await setting('appendonly'),
    }
  } catch (cause) {
    throw unavailable(cause)
  }
}

/** Decides from the facts alone. @throws QueueError QUEUE_REDIS_VERSION, _POLICY, _VOLATILE */
export function checkRedisFacts(
  facts: RedisFacts,
  options: { readonly allowVolatile: boolean },
): void {
  const [major = 0, minor = 0] = facts.version.split('.').map(Number)
  if (major < MIN_VERSION[0] || (major === MIN_VERSION[0] && minor < MIN_VERSION[1])) {
    throw new QueueError(
      { code: 'QUEUE_REDIS_VERSION', version: facts.version },
      `Redis ${facts.version} is too old: the queue needs ${MIN_VERSION.join('.')} or newer`,
    )
  }
  if (facts.maxmemoryPolicy !== 'noeviction' && facts.maxmemoryPolicy !== 'unknown') {
    throw new QueueError(
      { code: 'QUEUE_REDIS_POLICY', policy: facts.maxmemoryPolicy },
      `Redis evicts keys (maxmemory-policy ${facts.maxmemoryPolicy}) and would lose jobs: set noeviction`,
    )
  }
  if (facts.appendonly === 'no' && !options.allowVolatile) {
    throw new QueueError(
      { code: 'QUEUE_REDIS_VOLATILE' },
      'Redis has appendonly off and would lose jobs on restart: set appendonly yes, appendfsync everysec',
    )
  }
}
