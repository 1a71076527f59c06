import type { Redis } from 'ioredis'

/**
 * Takes a place in a lane if there is one. One script, so that many axons over one Redis never
 * promise the same place twice; the reservation covers the moment until BullMQ's own add.
 * Returns [admitted, waiting, active, laneStartMs].
 */
const RESERVE = `
local reserved, start, wait, prioritized, delayed, active = unpack(KEYS)
local id, now, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', reserved, '-inf', now - 5000)
local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized)
  + redis.call('ZCARD', delayed)
local running = redis.call('LLEN', active)
local first = redis.call('GET', start)
if waiting == 0 or not first then
  redis.call('SET', start, ARGV[2])
  first = ARGV[2]
end
if waiting + running + redis.call('ZCARD', reserved) >= room and not redis.call('ZSCORE', reserved, id) then
  return {0, waiting, running, tonumber(first)}
end
redis.call('ZADD', reserved, now, id)
return {1, waiting, running, tonumber(first)}
`

/** Starts a run of a job: a higher fence than any run before. Returns [fence, cancelled]. */
const BEGIN = `
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'startedMs', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {fence, redis.call('HEXISTS', KEYS[1], 'cancelled')}
`

/** Notes progress of the run that holds the fence, never backwards. 0: another run took over, 2: cancelled, 1: noted. */
const PROGRESS = `
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'cancelled') == 1 then return 2 end
if tonumber(redis.call('HGET', KEYS[1], 'progress') or '0') <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'progress', ARGV[2])
end
redis.call('HSET', KEYS[1], 'etaMs', ARGV[3], 'atMs', ARGV[4])
return 1
`

/** Runs one of the scripts above, by hash where the server knows it. */
async function evaluate(
  redis: Redis,
  script: string,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  return redis.eval(script, keys.length, ...keys, ...args)
}

const numbers = (reply: unknown): number[] => (Array.isArray(reply) ? reply.map(Number) : [])

export async function reserve(
  redis: Redis,
  keys: {
    readonly reserved: string
    readonly start: string
    readonly wait: string
    readonly prioritized: string
    readonly delayed: string
    readonly active: string
  },
  input: { readonly id: string; readonly nowMs: number; readonly room: number },
): Promise<{ admitted: boolean; waiting: number; active: number; laneStartMs: number }> {
  const { reserved, start, wait, prioritized, delayed, active } = keys
  const reply = await evaluate(
    redis,
    RESERVE,
    [reserved, start, wait, prioritized, delayed, active],
    [input.id, input.nowMs, input.room],
  )
  const [admitted = 0, waiting = 0, running = 0, laneStartMs = input.nowMs] = numbers(reply)
  return { admitted: admitted === 1, waiting, active: running, laneStartMs }
}

export async function begin(
  redis: Redis,
  key: string,
  input: { readonly nowMs: number; readonly keepMs: number },
): Promise<{ fence: number; cancelled: boolean }> {
  const reply = await evaluate(redis, BEGIN, [key], [input.nowMs, input.keepMs])
  const [fence = 0, cancelled = 0] = numbers(reply)
  return { fence, cancelled: cancelled === 1 }
}

export async function noteProgress(
  redis: Redis,
  key: string,
  input: {
    readonly fence: number
    readonly fraction: number
    readonly etaMs: number | undefined
    readonly nowMs: number
  },
): Promise<'noted' | 'superseded' | 'cancelled'> {
  const reply = await evaluate(
    redis,
    PROGRESS,
    [key],
    [input.fence, input.fraction, input.etaMs ?? '', input.nowMs],
  )
  return reply === 1 ? 'noted' : reply === 2 ? 'cancelled' : 'superseded'
}
