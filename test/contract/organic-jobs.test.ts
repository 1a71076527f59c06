import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Redis } from 'ioredis'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { connectProducer, OrganicJobs, whenReady } from '#src/queue/index.js'
import type { OrganicPriority } from '#src/queue/organic.js'
import { FakeClock } from '../support/fake-clock.js'
import { TestRedis } from '../support/redis.js'

let server: TestRedis
let redis: Redis
let jobs: OrganicJobs

before(async () => {
  server = await TestRedis.start()
  redis = connectProducer(server.url, silentLog())
  await whenReady(redis, 10_000)
})

after(async () => {
  redis.disconnect()
  await server.close()
})

beforeEach(async () => {
  await redis.flushall()
  jobs = new OrganicJobs({ redis, clock: new FakeClock(), rng: new SystemRng() })
})

async function submit(priority: OrganicPriority): Promise<string> {
  const work = { client: 'a', kind: 'upscaling' as const, params: {}, timeoutSeconds: 60 }
  return (await jobs.submit({ ...work, priority })).id
}

async function takeAll(): Promise<string[]> {
  const ids: string[] = []
  for (let job = await jobs.take(); job !== undefined; job = await jobs.take()) ids.push(job.id)
  return ids
}

describe('jobs of users in Redis', () => {
  it('are taken by priority, first come first served within one', async () => {
    const low = await submit('low')
    const normal = [await submit('normal'), await submit('normal')]
    const high = await submit('high')
    const urgent = [await submit('urgent'), await submit('urgent')]
    assert.equal(await jobs.waiting(), 6)
    assert.deepEqual(await takeAll(), [...urgent, high, ...normal, low])
    assert.equal(await jobs.waiting(), 0)
  })

  it('that were taken and never acknowledged are taken again, before all others', async () => {
    const normal = await submit('normal')
    await jobs.take()
    const urgent = await submit('urgent')
    assert.equal(await jobs.recover(), 1)
    assert.deepEqual(await takeAll(), [normal, urgent])
    for (const id of [normal, urgent]) await jobs.acknowledge(id)
    assert.equal(await jobs.recover(), 0)
  })
})
