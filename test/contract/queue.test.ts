import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { SubnetError } from '#src/lib/errors.js'
import { silentLog } from '#src/lib/log.js'
import { withResolvers } from '#src/lib/resources.js'
import { BullJobQueue, BullWorkers, jobId, QueueError } from '#src/queue/index.js'
import type { QueueSettings } from '#src/queue/lane.js'
import type { JobKind, JobProcessor, JobQueue, JobRequest } from '#src/queue/types.js'
import { MemoryQueue } from '../support/memory-queue.js'
import { TestRedis } from '../support/redis.js'

interface Opened {
  readonly queue: JobQueue
  work<P, R>(kind: JobKind, slots: number, processor: JobProcessor<P, R>): Promise<void>
  close(): Promise<void>
}

interface Backend {
  readonly name: string
  start(): Promise<void>
  stop(): Promise<void>
  /** An empty queue holding `maxWaiting` jobs beyond those running. */
  open(maxWaiting: number): Promise<Opened>
}

const memory: Backend = {
  name: 'memory',
  start: async () => {},
  stop: async () => {},
  open: async (maxWaiting) => {
    const queue = new MemoryQueue({ maxWaiting })
    return {
      queue,
      work: (kind, slots, processor) => queue.work(kind, slots, processor),
      close: () => queue.close(),
    }
  },
}

function bull(): Backend {
  let redis: TestRedis | undefined
  let count = 0
  return {
    name: 'BullMQ on Redis',
    start: async () => {
      redis = await TestRedis.start()
    },
    stop: async () => redis?.close(),
    open: async (maxWaiting) => {
      assert.ok(redis)
      count += 1
      const options = {
        redisUrl: redis.url,
        settings: { prefix: `{q${count}}`, maxWaiting, backoffMs: 20 },
      }
      const modules = { log: silentLog(), clock: new SystemClock() }
      const queue = await BullJobQueue.open(options, modules)
      const workers = new BullWorkers(options, modules)
      return {
        queue,
        work: (kind, slots, processor) => workers.work(kind, slots, processor),
        close: async () => {
          await workers.close()
          await queue.close()
        },
      }
    },
  }
}

function request(taskId: string, more: Partial<JobRequest<{ n: number }>> = {}) {
  return {
    kind: 'upscale' as const,
    hotkey: '5F3sa2TJAWMqDhXG6jhV4N8ko9SxwGy8TpaNS1repo5EYjQX',
    taskId,
    payload: { n: 1 },
    stake: 1_000,
    timeoutMs: 60_000,
    ...more,
  }
}

const soon = () => AbortSignal.timeout(15_000)
const hasCode = (code: string) => (error: unknown) =>
  error instanceof SubnetError && error.code === code

for (const backend of [memory, bull()]) {
  describe(`queue contract: ${backend.name}`, () => {
    // Deadlines do not keep a process alive; here nothing else would.
    const alive = setInterval(() => {}, 60_000)
    before(() => backend.start())
    after(async () => {
      clearInterval(alive)
      await backend.stop()
    })

    async function withQueue(maxWaiting: number, test: (opened: Opened) => Promise<void>) {
      const opened = await backend.open(maxWaiting)
      try {
        await test(opened)
      } finally {
        await opened.close()
      }
    }

    it('runs a job and gives its result', () =>
      withQueue(5, async ({ queue, work }) => {
        await work<{ n: number }, { m: number }>(
          'upscale',
          1,
          async ({ payload, hotkey, taskId }) => {
            assert.equal(hotkey, request('a').hotkey)
            assert.equal(taskId, 'a')
            return { m: payload.n + 1 }
          },
        )
        const { id, duplicate } = await queue.enqueue(request('a'))
        assert.equal(duplicate, false)
        assert.equal(id, jobId(request('a').hotkey, 'a'))
        const view = await queue.wait(id, soon())
        assert.equal(view.state, 'completed')
        assert.deepEqual(view.result, { m: 2 })
        assert.equal(view.progress, 1)
      }))

    it('makes one job of the same task sent twice, and of two callers two', () =>
      withQueue(5, async ({ queue, work }) => {
        let runs = 0
        await work('upscale', 2, async () => {
          runs += 1
          return { runs }
        })
        const both = await Promise.all([queue.enqueue(request('a')), queue.enqueue(request('a'))])
        const first = await queue.wait(both[0].id, soon())
        const again = await queue.enqueue(request('a'))
        assert.equal(both[0].id, both[1].id)
        assert.equal(again.duplicate, true)
        assert.deepEqual((await queue.wait(again.id, soon())).result, first.result)
        assert.equal(runs, 1)
        const other = await queue.enqueue(
          request('a', { hotkey: '5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM' }),
        )
        await queue.wait(other.id, soon())
        assert.equal(runs, 2)
      }))

    it('refuses a job beyond its places with a time to come back, and says so before', () =>
      withQueue(1, async ({ queue, work }) => {
        const gate = withResolvers<void>()
        await work('upscale', 1, () => gate.promise)
        assert.equal((await queue.capacity('upscale')).available, true)
        const accepted = [await queue.enqueue(request('a')), await queue.enqueue(request('b'))]
        const capacity = await queue.capacity('upscale')
        assert.equal(capacity.available, false)
        assert.equal(capacity.maxConcurrent, 1)
        assert.equal(capacity.active + capacity.waiting, 2)
        await assert.rejects(queue.enqueue(request('c')), (error: unknown) => {
          assert.ok(error instanceof QueueError && error.data.code === 'QUEUE_FULL')
          assert.ok(error.data.retryAfterMs >= 1_000)
          return true
        })
        assert.equal((await queue.enqueue(request('a'))).duplicate, true)
        gate.resolve()
        for (const { id } of accepted) await queue.wait(id, soon())
      }))

    it('never takes more jobs at once than it has places, however many ask together', () =>
      withQueue(3, async ({ queue, work }) => {
        const gate = withResolvers<void>()
        await work('upscale', 2, () => gate.promise)
        const asked = Array.from({ length: 20 }, (_, n) => queue.enqueue(request(`t${n}`)))
        const settled = await Promise.allSettled(asked)
        assert.equal(settled.filter((one) => one.status === 'fulfilled').length, 5)
        gate.resolve()
      }))

    it('refuses a kind that no worker takes', () =>
      withQueue(5, async ({ queue }) => {
        assert.equal((await queue.capacity('compress')).available, false)
        await assert.rejects(
          queue.enqueue(request('a', { kind: 'compress' })),
          hasCode('QUEUE_NO_WORKER'),
        )
      }))

    it('starts the better staked first', () =>
      withQueue(9, async ({ queue, work }) => {
        const gate = withResolvers<void>()
        const order: string[] = []
        await work('upscale', 1, async ({ taskId }) => {
          order.push(taskId)
          if (taskId === 'first') await gate.promise
        })
        await queue.enqueue(request('first'))
        for (const n of [1, 2, 3]) await queue.enqueue(request(`poor${n}`, { stake: 0 }))
        const rich = await queue.enqueue(request('rich', { stake: 50_000 }))
        const last = await queue.enqueue(request('poor4', { stake: 0 }))
        gate.resolve()
        await queue.wait(rich.id, soon())
        await queue.wait(last.id, soon())
        assert.deepEqual(order, ['first', 'rich', 'poor1', 'poor2', 'poor3', 'poor4'])
      }))

    it('tries again what may be retried and nothing else', () =>
      withQueue(5, async ({ queue, work }) => {
        const attempts: number[] = []
        await work('upscale', 1, async ({ taskId, attempt }) => {
          attempts.push(attempt)
          if (taskId === 'flaky' && attempt < 3) {
            throw new SubnetError({ code: 'T_FLAKY' }, 'not yet', { retryable: true })
          }
          if (taskId === 'broken') throw new SubnetError({ code: 'T_BROKEN' }, 'never')
          return 'done'
        })
        const flaky = await queue.enqueue(request('flaky'))
        assert.equal((await queue.wait(flaky.id, soon())).result, 'done')
        assert.deepEqual(attempts, [1, 2, 3])
        const broken = await queue.enqueue(request('broken'))
        const view = await queue.wait(broken.id, soon())
        assert.equal(view.state, 'failed')
        assert.deepEqual(view.error, { code: 'T_BROKEN', message: 'never' })
        assert.equal(attempts.length, 4)
      }))

    it('shows progress that never falls', () =>
      withQueue(5, async ({ queue, work }) => {
        const reported = withResolvers<void>()
        const gate = withResolvers<void>()
        await work('upscale', 1, async ({ progress }) => {
          progress(0.4)
          progress(0.2)
          reported.resolve()
          await gate.promise
        })
        const { id } = await queue.enqueue(request('a'))
        await reported.promise
        let view = await queue.view(id)
        while (view?.progress === 0) view = await queue.view(id)
        assert.equal(view?.state, 'active')
        assert.equal(view?.progress, 0.4)
        gate.resolve()
        await queue.wait(id, soon())
      }))

    it('cancels a waiting job, which then never starts', () =>
      withQueue(5, async ({ queue, work }) => {
        const gate = withResolvers<void>()
        const started: string[] = []
        await work('upscale', 1, async ({ taskId }) => {
          started.push(taskId)
          await gate.promise
        })
        const first = await queue.enqueue(request('a'))
        const second = await queue.enqueue(request('b'))
        const waiting = queue.wait(second.id, soon())
        assert.equal(await queue.cancel(second.id), true)
        assert.equal((await waiting).state, 'cancelled')
        assert.equal((await queue.view(second.id))?.error?.code, 'QUEUE_CANCELLED')
        assert.equal((await queue.enqueue(request('b'))).duplicate, true)
        gate.resolve()
        await queue.wait(first.id, soon())
        assert.equal(await queue.cancel(first.id), false)
        assert.deepEqual(started, ['a'])
      }))

    it('cancels a running job by its signal', () =>
      withQueue(5, async ({ queue, work }) => {
        const running = withResolvers<void>()
        const aborted = withResolvers<unknown>()
        await work('upscale', 1, async ({ signal }) => {
          running.resolve()
          await new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          }).catch((reason: unknown) => {
            aborted.resolve(reason)
            throw reason
          })
        })
        const { id } = await queue.enqueue(request('a'))
        await running.promise
        assert.equal(await queue.cancel(id), true)
        assert.ok(hasCode('QUEUE_CANCELLED')(await aborted.promise))
        assert.equal((await queue.wait(id, soon())).state, 'cancelled')
      }))

    it('fails a job that ran out of time', () =>
      withQueue(5, async ({ queue, work }) => {
        await work('upscale', 1, ({ signal }) => {
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason))
          })
        })
        const { id } = await queue.enqueue(request('a', { timeoutMs: 150 }))
        const view = await queue.wait(id, soon())
        assert.equal(view.state, 'failed')
        assert.equal(view.error?.code, 'QUEUE_DEADLINE')
      }))

    it('gives up waiting when the caller does', () =>
      withQueue(5, async ({ queue, work }) => {
        const gate = withResolvers<void>()
        await work('upscale', 1, () => gate.promise)
        const { id } = await queue.enqueue(request('a'))
        await assert.rejects(queue.wait(id, AbortSignal.timeout(50)), { name: 'TimeoutError' })
        gate.resolve()
      }))

    it('runs a task anew once its ended job is forgotten, and keeps one that has not ended', () =>
      withQueue(5, async ({ queue, work }) => {
        let runs = 0
        let gate = withResolvers<void>()
        await work('upscale', 1, async () => {
          runs += 1
          await gate.promise
          return runs
        })
        const { id } = await queue.enqueue(request('a'))
        await queue.forget(id)
        assert.equal((await queue.enqueue(request('a'))).duplicate, true)
        gate.resolve()
        assert.equal((await queue.wait(id, soon())).result, 1)
        gate = withResolvers<void>()
        gate.resolve()
        await queue.forget(id)
        assert.equal(await queue.view(id), undefined)
        assert.equal((await queue.enqueue(request('a'))).duplicate, false)
        assert.equal((await queue.wait(id, soon())).result, 2)
      }))

    it('knows nothing of an unknown job', () =>
      withQueue(5, async ({ queue }) => {
        assert.equal(await queue.view(jobId('x', 'y')), undefined)
        assert.equal(await queue.cancel(jobId('x', 'y')), false)
      }))
  })
}

describe('the queue on a Redis of its own', () => {
  const modules = { log: silentLog(), clock: new SystemClock() }

  async function openOwn(t: TestContext, settings: Partial<QueueSettings> = {}) {
    const redis = await TestRedis.start()
    const options = { redisUrl: redis.url, settings }
    const queue = await BullJobQueue.open(options, modules)
    const workers = new BullWorkers(options, modules)
    const others = new BullWorkers(options, modules)
    t.after(async () => {
      await workers.close()
      await others.close()
      await queue.close()
      await redis.close()
    })
    return { queue, workers, others }
  }

  for (const [name, options, code] of [
    ['evicts', { policy: 'allkeys-lru' }, 'QUEUE_REDIS_POLICY'],
    ['keeps nothing on disk', { persistent: false }, 'QUEUE_REDIS_VOLATILE'],
  ] as const) {
    it(`does not start on one that ${name}`, async () => {
      const redis = await TestRedis.start(options)
      const opening = BullJobQueue.open({ redisUrl: redis.url }, modules)
      await assert.rejects(opening, hasCode(code)).finally(() => redis.close())
    })
  }

  it('takes no job for an engine that is dead at the start, also none that waits already', async (t) => {
    const { queue, workers: busy, others: dead } = await openOwn(t)
    const gate = withResolvers<void>()
    await busy.work('upscale', 1, () => gate.promise.then(() => 'busy'))
    const first = await queue.enqueue(request('first'))
    const second = await queue.enqueue(request('second'))
    await dead.work('upscale', 1, async () => 'mended', 'the engine is dead')
    await modules.clock.sleep(200)
    assert.equal((await queue.view(second.id))?.state, 'waiting')
    assert.equal((await queue.capacity('upscale')).maxConcurrent, 1)
    await dead.resume('upscale')
    assert.equal((await queue.wait(second.id, soon())).result, 'mended')
    assert.equal((await queue.capacity('upscale')).maxConcurrent, 2)
    gate.resolve()
    assert.equal((await queue.wait(first.id, soon())).result, 'busy')
  })

  it('tells the time left by the work that is done', async (t) => {
    const { queue, workers } = await openOwn(t)
    const { clock } = modules
    const gate = withResolvers<void>()
    await workers.work('upscale', 1, async ({ progress }) => {
      await clock.sleep(300)
      progress(0.25)
      await gate.promise
    })
    const beginMs = clock.monotonic()
    const { id } = await queue.enqueue(request('a'))
    let view = await queue.view(id)
    assert.equal(view?.etaMs, undefined)
    while (view?.progress !== 0.25) view = await queue.view(id)
    const elapsedMs = clock.monotonic() - beginMs
    // A quarter took all that time, or a little less: three are left.
    assert.ok(view.etaMs !== undefined && view.etaMs > 0 && view.etaMs <= 3 * elapsedMs)
    gate.resolve()
    await queue.wait(id, soon())
  })

  it('lets nobody be overtaken for longer than the limit, however much stake keeps coming', async (t) => {
    const maxWaitMs = 1_000
    const { queue, workers } = await openOwn(t, { maxWaiting: 1_000, maxWaitMs })
    const { clock } = modules
    const started: string[] = []
    await workers.work('upscale', 1, async ({ taskId }) => {
      started.push(taskId)
      await clock.sleep(50)
    })
    const cameMs = new Map<string, number>()
    const rich = async () => {
      const id = `rich${cameMs.size}`
      cameMs.set(id, clock.monotonic())
      await queue.enqueue(request(id, { stake: 10_000_000 }))
    }
    for (let n = 0; n < 3; n += 1) await rich()
    await queue.enqueue(request('poor', { stake: 0 }))
    const poorInMs = clock.monotonic()
    // There is always one with stake that waits.
    while (!started.includes('poor')) {
      if (cameMs.size - started.length < 3) await rich()
      else await clock.sleep(5)
      assert.ok(cameMs.size < 1_000, 'it never starts')
    }
    const before = started.slice(0, started.indexOf('poor'))
    const after = before.filter((id) => (cameMs.get(id) ?? 0) > poorInMs)
    assert.ok(after.length > 0, 'stake goes first')
    for (const id of after) {
      const laterMs = (cameMs.get(id) ?? 0) - poorInMs
      // A step of priority is 250 ms.
      assert.ok(laterMs <= maxWaitMs + 250, `${id} came ${laterMs} ms later and started before`)
    }
  })
})
