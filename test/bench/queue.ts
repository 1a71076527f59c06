// Our queue beside bare BullMQ on one Redis (append-only file, everysec) in the same run: time from
// add to start one by one, then jobs per second with many in flight. Rounds alternate.
// Usage: npm run bench -- queue [jobs]
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { BullJobQueue, BullWorkers } from '#src/queue/index.js'
import { TestRedis } from '../support/redis.js'

const JOBS = Number(process.argv[2] ?? 500)
const ROUNDS = 3
const WARMUP = 50
const IN_FLIGHT = 50
const SLOTS = 16

interface Side {
  readonly name: string
  add(id: string): Promise<unknown>
  close(): Promise<void>
}

const starts = new Map<string, () => void>()
const started = (id: string): Promise<void> =>
  new Promise((resolve) => {
    starts.set(id, resolve)
  })
const onStart = (id: string) => {
  starts.get(id)?.()
  starts.delete(id)
}

async function ours(redisUrl: string): Promise<Side> {
  const settings = { maxWaiting: 1_000_000, keepMs: 60_000 }
  const modules = { log: silentLog(), clock: new SystemClock() }
  const queue = await BullJobQueue.open({ redisUrl, settings }, modules)
  const workers = new BullWorkers({ redisUrl, settings }, modules)
  await workers.work('upscale', SLOTS, async ({ taskId }) => onStart(taskId))
  const base = { kind: 'upscale', hotkey: 'caller', payload: { n: 1 }, stake: 1 } as const
  return {
    name: 'subreel',
    add: (taskId) => queue.enqueue({ ...base, taskId, timeoutMs: 60_000 }),
    close: async () => {
      await workers.close()
      await queue.close()
    },
  }
}

async function bare(redisUrl: string): Promise<Side> {
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue('bare', { connection })
  const worker = new Worker('bare', async (job) => onStart(String(job.data.id)), {
    connection,
    concurrency: SLOTS,
  })
  await worker.waitUntilReady()
  const options = { removeOnComplete: { age: 60 }, attempts: 3, priority: 1 }
  return {
    name: 'bullmq',
    add: (id) => queue.add('job', { id, payload: { n: 1 } }, { ...options, jobId: id }),
    close: async () => {
      await worker.close()
      await queue.close()
      connection.disconnect()
    },
  }
}

const quantile = (sorted: readonly number[], q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN

let made = 0
async function latencies(side: Side, count: number): Promise<number[]> {
  const taken: number[] = []
  for (let n = 0; n < count; n += 1) {
    made += 1
    const id = `job-${made}`
    const start = performance.now()
    const begun = started(id)
    await Promise.all([side.add(id), begun.then(() => taken.push(performance.now() - start))])
  }
  return taken
}

async function perSecond(side: Side, count: number): Promise<number> {
  const start = performance.now()
  let left = count
  const lane = async () => {
    while (left > 0) {
      left -= 1
      made += 1
      const id = `job-${made}`
      const begun = started(id)
      await side.add(id)
      await begun
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  return count / ((performance.now() - start) / 1_000)
}

const redis = await TestRedis.start()
const sides = [await bare(redis.url), await ours(redis.url)]
const figures = new Map(
  sides.map((side) => [side.name, { ms: [] as number[], rates: [] as number[] }]),
)
for (const side of sides) await latencies(side, WARMUP)
for (let round = 0; round < ROUNDS; round += 1) {
  for (const side of sides) {
    const of = figures.get(side.name)
    of?.ms.push(...(await latencies(side, JOBS)))
    of?.rates.push(await perSecond(side, JOBS * 2))
  }
}
for (const side of sides) await side.close()
await redis.close()

const summary = [...figures].map(([name, { ms, rates }]) => {
  const sorted = [...ms].sort((a, b) => a - b)
  const rate = rates.reduce((sum, value) => sum + value, 0) / rates.length
  return { name, p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), rate }
})
for (const { name, p50, p99, rate } of summary) {
  console.log(
    `${name.padEnd(8)} add→start p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms  ${Math.round(rate)} jobs/s with ${IN_FLIGHT} in flight`,
  )
}
const [peer, own] = summary
if (peer !== undefined && own !== undefined) {
  console.log(
    `ratio    p50 ${(own.p50 / peer.p50).toFixed(2)}  p99 ${(own.p99 / peer.p99).toFixed(2)}  jobs/s ${(own.rate / peer.rate).toFixed(2)}`,
  )
}
