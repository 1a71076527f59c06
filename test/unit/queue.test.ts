import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SubnetError } from '#src/lib/errors.js'
import {
  etaFromProgress,
  laneCapacity,
  meanJobMs,
  nextMeanMs,
  waitMs,
} from '#src/queue/estimate.js'
import { jobId } from '#src/queue/job-id.js'
import {
  DEFAULT_SETTINGS,
  decodeReason,
  encodeReason,
  encodeReport,
  liveReports,
} from '#src/queue/lane.js'
import { lanePriority, PRIORITY_LIMIT, stakeShare, TICK_MS } from '#src/queue/priority.js'
import { checkRedisFacts } from '#src/queue/redis.js'

describe('queue', () => {
  it('gives no two pairs of caller and task one id', () => {
    assert.equal(jobId('a', 'b'), jobId('a', 'b'))
    assert.notEqual(jobId('ab', 'c'), jobId('a', 'bc'))
    assert.match(jobId('a', ''), /^[0-9a-f]{64}$/)
  })

  it('orders the same moment by stake, strictly over the stakes that matter', () => {
    const at = (stake: number) =>
      lanePriority({ nowMs: 1_000, laneStartMs: 0, stake, maxWaitMs: 60_000 })
    const stakes = [0, 10, 100, 1_000, 10_000, 25_000, 100_000, 1_000_000]
    const places = stakes.map(at)
    assert.deepEqual(
      places,
      [...places].sort((a, b) => b - a),
    )
    assert.equal(new Set(places).size, stakes.length)
  })

  it('lets nobody be overtaken for longer than the limit', () => {
    const maxWaitMs = 60_000
    const poor = lanePriority({ nowMs: 0, laneStartMs: 0, stake: 0, maxWaitMs })
    const rich = (nowMs: number) => lanePriority({ nowMs, laneStartMs: 0, stake: 1e9, maxWaitMs })
    assert.ok(rich(maxWaitMs - TICK_MS) < poor)
    assert.ok(rich(maxWaitMs + TICK_MS) > poor)
  })

  it('stays in the range of priorities whatever the stake and the age', () => {
    for (const stake of [-1, 0, Number.NaN, Number.POSITIVE_INFINITY, 1e300]) {
      assert.ok(stakeShare(stake) >= 0 && stakeShare(stake) <= 1, String(stake))
      const place = lanePriority({ nowMs: 1e15, laneStartMs: 0, stake, maxWaitMs: 60_000 })
      assert.equal(place, PRIORITY_LIMIT, String(stake))
    }
    assert.equal(lanePriority({ nowMs: 0, laneStartMs: 9e9, stake: 1e9, maxWaitMs: 1 }), 1)
  })

  it("gives a dead worker's job to another within ten seconds", () => {
    const { lockMs, stalledEveryMs } = DEFAULT_SETTINGS
    assert.ok(lockMs + 2 * stalledEveryMs <= 10_000)
  })

  it('promises no place where no worker is and none beyond its places', () => {
    const lane = { active: 2, waiting: 4, maxWaiting: 5 }
    assert.equal(laneCapacity(lane, []).available, false)
    assert.equal(laneCapacity(lane, [{ slots: 2, meanMs: 0 }]).available, true)
    assert.equal(laneCapacity({ ...lane, waiting: 5 }, [{ slots: 2, meanMs: 0 }]).available, false)
  })

  it('estimates the wait from who is ahead and how long jobs took', () => {
    assert.equal(waitMs(0, 2, 1_000), 0)
    assert.equal(waitMs(1, 2, 1_000), 0)
    assert.equal(waitMs(2, 2, 1_000), 1_000)
    assert.equal(waitMs(6, 2, 1_000), 3_000)
    assert.equal(
      meanJobMs([
        { slots: 1, meanMs: 100 },
        { slots: 3, meanMs: 200 },
      ]),
      175,
    )
    assert.equal(
      meanJobMs([
        { slots: 1, meanMs: 100 },
        { slots: 3, meanMs: 0 },
      ]),
      100,
    )
    assert.equal(nextMeanMs(0, 50), 50)
    assert.equal(nextMeanMs(100, 200), 120)
    assert.equal(etaFromProgress(1_000, 0.25), 3_000)
    assert.equal(etaFromProgress(1_000, 0), undefined)
  })

  it('counts only workers that reported lately and ignores what it cannot read', () => {
    const fields = {
      alive: encodeReport({ slots: 2, meanMs: 5 }, 100_000),
      dead: encodeReport({ slots: 2, meanMs: 5 }, 80_000),
      strange: '{"slots":-1}',
    }
    assert.equal(liveReports(fields, 101_000).length, 1)
  })

  it('keeps code and text of a failure through one string', () => {
    assert.deepEqual(decodeReason(encodeReason('A', 'b "c"')), { code: 'A', message: 'b "c"' })
    assert.equal(decodeReason('boom').message, 'boom')
    assert.equal(decodeReason(undefined).code, 'QUEUE_BAD_JOB')
  })

  it('refuses a Redis that is old, evicts or forgets', () => {
    const good = { version: '7.0.15', maxmemoryPolicy: 'noeviction', appendonly: 'yes' }
    const codeOf = (facts: Partial<typeof good>, allowVolatile = false) => {
      try {
        checkRedisFacts({ ...good, ...facts }, { allowVolatile })
        return 'OK'
      } catch (error) {
        return error instanceof SubnetError ? error.code : 'OTHER'
      }
    }
    assert.equal(codeOf({}), 'OK')
    assert.equal(codeOf({ version: '6.0.16' }), 'QUEUE_REDIS_VERSION')
    assert.equal(codeOf({ version: '6.2.0' }), 'OK')
    assert.equal(codeOf({ maxmemoryPolicy: 'allkeys-lru' }), 'QUEUE_REDIS_POLICY')
    assert.equal(codeOf({ appendonly: 'no' }), 'QUEUE_REDIS_VOLATILE')
    assert.equal(codeOf({ appendonly: 'no' }, true), 'OK')
    assert.equal(codeOf({ maxmemoryPolicy: 'unknown', appendonly: 'unknown' }), 'OK')
  })
})
