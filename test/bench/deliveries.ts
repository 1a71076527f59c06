/**
 * Delivers results to a real S3 server of whose requests three in ten fail, and counts those that come
 * out whole: `npm run bench -- deliveries [--jobs 1000] [--rate 0.3]`.
 */
import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { SystemClock } from '#src/lib/clock.js'
import { describeError } from '#src/lib/errors.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { mapLimit } from '#src/lib/loop.js'
import { SeededRng, SystemRng } from '#src/lib/rng.js'
import { Delivery, RedisSchedule } from '#src/storage/index.js'
import { FaultyProxy } from '../support/faulty-proxy.js'
import { scratch } from '../support/miner.js'
import { TestRedis } from '../support/redis.js'
import { openS3, startSeaweed } from '../support/s3.js'

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '0.3' },
  },
})
const AT_ONCE = 32
const BYTES = 50_000

const clock = new SystemClock()
const { dir, remove } = await scratch()
const server = await startSeaweed()
const proxy = await FaultyProxy.start(server.endpoint, new SeededRng('deliveries'))
const redis = await TestRedis.start()
const client = new Redis(redis.url)
const store = await openS3(proxy.endpoint, { requestTimeoutMs: 5_000 })
const direct = await openS3(server.endpoint)
const delivery = new Delivery(
  { expirySeconds: 600, checkReachable: true },
  {
    ...{ store, clock, rng: new SystemRng() },
    schedule: new RedisSchedule(client, '{deliveries}'),
    fetcher: new GuardedFetcher({ allowPrivate: true, allowHttp: true }),
  },
)
const signal = new AbortController().signal
proxy.rate = Number(values.rate)
const started = performance.now()
const failures = new Map<string, number>()
const jobs = Array.from({ length: Number(values.jobs) }, (_, n) => n)
let whole = 0
await mapLimit(jobs, AT_ONCE, async (n) => {
  const data = randomBytes(BYTES)
  const path = join(dir, `${n}.mp4`)
  await writeFile(path, data)
  try {
    const { key } = await delivery.deliver({ path, folder: 'upscaling', hotkey: 'x' }, signal)
    const stored = Buffer.concat(await (await direct.get(key)).toArray())
    const same = createHash('sha256').update(stored).digest('hex')
    if (same === createHash('sha256').update(data).digest('hex')) whole += 1
  } catch (error) {
    const reason = describeError(error)
    failures.set(reason, (failures.get(reason) ?? 0) + 1)
  }
})
const seconds = ((performance.now() - started) / 1_000).toFixed(0)
process.stdout.write(
  `${whole} of ${jobs.length} delivered whole in ${seconds} s while ${100 * proxy.rate} % of requests failed\n`,
)
for (const [reason, count] of failures) process.stdout.write(`  ${count} x ${reason}\n`)
await store.close()
await direct.close()
client.disconnect()
await redis.close()
await proxy.close()
await server.close()
await remove()
