import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { Deaths } from './poison.js'

/**
 * Takes a place in a lane if there is one. One script and one round trip, so that many axons over one
 * Redis never promise the same place twice; the reservation covers the moment until BullMQ's own add.
 * Returns [outcome, waiting, active, laneStartMs, slots, meanMs].
 */
const ADMIT = `
local reserved, start, wait, prioritized, delayed, active, workers, job, record = unpack(KEYS)
local id, now = ARGV[1], tonumber(ARGV[2])
local maxWaiting, reportTtl = tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('EXISTS', job) == 1 or redis.call('HEXISTS', record, 'cancelled') == 1 then
  return {'duplicate', 0, 0, 0, 0, 0}
end
local slots, measured, weighted = 0, 0, 0
for _, text in ipairs(redis.call('HVALS', workers)) do
  local read, report = pcall(cjson.decode, text)
  if read and now - report.atMs < reportTtl then
    slots = slots + report.slots
    if report.meanMs > 0 then
      measured = measured + report.slots
      weighted = weighted + report.meanMs * report.slots
    end
  end
end
local mean = 0
if measured > 0 then mean = weighted / measured end
if slots == 0 then return {'no-worker', 0, 0, 0, 0, 0} end
redis.call('ZREMRANGEBYSCORE', reserved, '-inf', now - 5000)
local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized)
  + redis.call('ZCARD', delayed)
local running = redis.call('LLEN', active)
local first = redis.call('GET', start)
if waiting == 0 or not first then
  redis.call('SET', start, ARGV[2])
  first = ARGV[2]
end
local taken = waiting + running + redis.call('ZCARD', reserved)
if taken >= slots + maxWaiting and not redis.call('ZSCORE', reserved, id) then
  return {'full', waiting, running, tonumber(first), slots, mean}
end
redis.call('ZADD', reserved, now, id)
return {'admitted', waiting, running, tonumber(first), slots, mean}
`

/**
 * Notes that a run of a job began; its fence is above that of any run before. A run before that never
 * said it ended died with its worker: that is counted, of the job and of its lane.
 * Returns [cancelled, deaths alone, longest of those lives, deaths of others, milliseconds others ran].
 */
const BEGIN = `
local record, lane = KEYS[1], KEYS[2]
local now = tonumber(ARGV[3])
local function of(key, field) return tonumber(redis.call('HGET', key, field) or '0') end
local function add(key, field, more) redis.call('HSET', key, field, of(key, field) + more) end
if redis.call('HEXISTS', record, 'sinceMs') == 1 then
  local lived = math.max(0, of(record, 'seenMs') - of(record, 'sinceMs'))
  add(record, 'deaths', 1)
  add(record, 'ranMs', lived)
  add(lane, 'deaths', 1)
  add(lane, 'ranMs', lived)
  if redis.call('HEXISTS', record, 'alone') == 1 then
    add(record, 'deathsAlone', 1)
    redis.call('HSET', record, 'longestMs', math.max(lived, of(record, 'longestMs')))
  end
end
if of(record, 'fence') < tonumber(ARGV[1]) then redis.call('HSET', record, 'fence', ARGV[1]) end
redis.call('HSET', record, 'sinceMs', now, 'seenMs', now)
redis.call('HDEL', record, 'alone')
redis.call('PEXPIRE', record, ARGV[2])
return {
  redis.call('HEXISTS', record, 'cancelled'), of(record, 'deathsAlone'), of(record, 'longestMs'),
  math.max(0, of(lane, 'deaths') - of(record, 'deaths')), of(lane, 'ranMs') - of(record, 'ranMs')
}
`

/** Notes that a run ended by itself, whatever its end. The lane's memory fades: an hour of runs counts half. */
const END = `
local record, lane = KEYS[1], KEYS[2]
local since = redis.call('HGET', record, 'sinceMs')
if not since or redis.call('HGET', record, 'fence') ~= ARGV[1] then return 0 end
redis.call('HDEL', record, 'sinceMs', 'alone')
local deaths = tonumber(redis.call('HGET', lane, 'deaths') or '0')
local ran = tonumber(redis.call('HGET', lane, 'ranMs') or '0') + tonumber(ARGV[2]) - tonumber(since)
if ran > 3600000 then deaths, ran = math.floor(deaths / 2), math.floor(ran / 2) end
redis.call('HSET', lane, 'deaths', deaths, 'ranMs', ran)
return 1
`

/** Notes progress of the run that holds the fence, never backwards. 0: another run took over, 2: cancelled, 1: noted. */
const PROGRESS = `
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
if redis.call('HEXISTS', KEYS[1], 'cancelled') == 1 then return 2 end
if tonumber(redis.call('HGET', KEYS[1], 'progress') or '0') <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'progress', ARGV[2])
end
redis.call('HSET', KEYS[1], 'etaMs', ARGV[3], 'atMs', ARGV[4], 'seenMs', ARGV[4])
return 1
`

/** A script with the name under which Redis keeps it. */
const script = (lua: string) => ({ lua, sha: createHash('sha1').update(lua).digest('hex') })
const SCRIPTS = {
  admit: script(ADMIT),
  begin: script(BEGIN),
  end: script(END),
  progress: script(PROGRESS),
}

/** Runs one of the scripts above by its name; its text goes over only to a server that lacks it. */
async function evaluate(
  redis: Redis,
  name: keyof typeof SCRIPTS,
  keys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  const { sha, lua } = SCRIPTS[name]
  try {
    return await redis.evalsha(sha, keys.length, ...keys, ...args)
  } catch (error) {
    // The reply error has nothing but its text to tell it by; NOSCRIPT is Redis's documented word.
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return redis.eval(lua, keys.length, ...keys, ...args)
  }
}

export interface AdmitKeys {
  readonly reserved: string
  readonly start: string
  readonly wait: string
  readonly prioritized: string
  readonly delayed: string
  readonly active: string
  readonly workers: string
  readonly job: string
  readonly record: string
}

const admitted = z.tuple([
  z.enum(['admitted', 'full', 'no-worker', 'duplicate']),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
])

export interface Admission {
  readonly outcome: z.infer<typeof admitted>[0]
  readonly waiting: number
  readonly active: number
  readonly laneStartMs: number
  /** Of all live workers. */
  readonly slots: number
  /** Mean milliseconds of a job; 0 while none was measured. */
  readonly meanMs: number
}

export async function admit(
  redis: Redis,
  keys: AdmitKeys,
  input: {
    readonly id: string
    readonly nowMs: number
    readonly maxWaiting: number
    readonly reportTtlMs: number
  },
): Promise<Admission> {
  const { reserved, start, wait, prioritized, delayed, active, workers, job, record } = keys
  const reply = await evaluate(
    redis,
    'admit',
    [reserved, start, wait, prioritized, delayed, active, workers, job, record],
    [input.id, input.nowMs, input.maxWaiting, input.reportTtlMs],
  )
  const [outcome, waiting, running, laneStartMs, slots, meanMs] = admitted.parse(reply)
  return { outcome, waiting, active: running, laneStartMs, slots, meanMs }
}

/** Redis keys of one run: the job's record and the deaths of its lane. */
export interface RunKeys {
  readonly record: string
  readonly deaths: string
}

const begun = z.tuple([z.number(), z.number(), z.number(), z.number(), z.number()])

/** Resolves with whether the job was cancelled meanwhile, and the deaths so far. */
export async function begin(
  redis: Redis,
  { record, deaths }: RunKeys,
  input: { readonly fence: number; readonly keepMs: number; readonly nowMs: number },
): Promise<{ readonly cancelled: boolean; readonly deaths: Deaths }> {
  const args = [input.fence, input.keepMs, input.nowMs]
  const reply = begun.parse(await evaluate(redis, 'begin', [record, deaths], args))
  const [cancelled, alone, longestMs, others, othersRanMs] = reply
  return { cancelled: cancelled === 1, deaths: { alone, longestMs, others, othersRanMs } }
}

/** Notes that the run has its worker to itself, from now on. */
export async function beginAlone(redis: Redis, { record }: RunKeys, nowMs: number): Promise<void> {
  await redis.hset(record, { sinceMs: nowMs, seenMs: nowMs, alone: 1 })
}

export async function noteLife(redis: Redis, { record }: RunKeys, nowMs: number): Promise<void> {
  await redis.hset(record, 'seenMs', nowMs)
}

export async function end(
  redis: Redis,
  { record, deaths }: RunKeys,
  input: { readonly fence: number; readonly nowMs: number },
): Promise<void> {
  await evaluate(redis, 'end', [record, deaths], [input.fence, input.nowMs])
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
    'progress',
    [key],
    [input.fence, input.fraction, input.etaMs ?? '', input.nowMs],
  )
  return reply === 1 ? 'noted' : reply === 2 ? 'cancelled' : 'superseded'
}
