import { Redis } from 'ioredis'
import { describeError } from '../../lib/errors.js'
import { type Check, type CheckResult, fail, ok, warn } from './check.js'

const MIN_MAJOR = 6

/** The value of `key:` in the text of INFO. */
function infoValue(info: string, key: string): string | undefined {
  return new RegExp(`^${key}:(.*?)\\r?$`, 'm').exec(info)?.[1]
}

export const redisCheck: Check = {
  name: 'redis',
  async run({ config }) {
    const redis = new Redis(config['redis.url'].reveal(), {
      lazyConnect: true,
      connectTimeout: 3_000,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
    })
    let lost: unknown
    redis.on('error', (error) => {
      lost = error
    })
    try {
      await redis.connect()
      const info = await redis.info()
      const version = infoValue(info, 'redis_version') ?? 'unknown'
      const results: CheckResult[] = [
        Number.parseInt(version, 10) >= MIN_MAJOR
          ? ok(`Redis ${version}`)
          : fail(`Redis ${version} is too old`, `install Redis ${MIN_MAJOR} or newer`),
      ]
      const policy = infoValue(info, 'maxmemory_policy')
      if (policy !== undefined && policy !== 'noeviction') {
        results.push(
          fail(
            `maxmemory-policy is ${policy}`,
            'CONFIG SET maxmemory-policy noeviction: jobs are lost else',
          ),
        )
      }
      if (infoValue(info, 'aof_enabled') !== '1') {
        results.push(
          warn(
            'append-only file is off',
            'CONFIG SET appendonly yes: a restart of Redis loses jobs else',
          ),
        )
      }
      return results
    } catch (error) {
      const { host, port } = redis.options
      return fail(
        `no Redis answers at ${host}:${port} (${describeError(lost ?? error)})`,
        'start redis-server or set REDIS_URL',
      )
    } finally {
      redis.disconnect()
    }
  },
}
