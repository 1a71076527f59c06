import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '#src/lib/clock.js'
import { must, SubnetError } from '#src/lib/errors.js'
import { silentLog } from '#src/lib/log.js'
import { SeededRng } from '#src/lib/rng.js'
import { BullJobQueue } from '#src/queue/index.js'
import { scratch } from '../support/miner.js'
import { QUICK_LOCKS } from '../support/queue-settings.js'
import { TestRedis } from '../support/redis.js'

const SCRIPT = fileURLToPath(new URL('../support/queue-worker.js', import.meta.url))
const clock = new SystemClock()

describe('the queue under faults', () => {
  let redis: TestRedis
  let dir = ''
  let remove = async () => {}
  let count = 0
  const children = new Set<ChildProcess>()

  before(async () => {
    redis = await TestRedis.start()
    const made = await scratch()
    dir = made.dir
    remove = made.remove
  })
  after(async () => {
    await redis.close()
    await remove()
  })

  async function setUp(t: { after(fn: () => Promise<void>): void }) {
    count += 1
    const prefix = `{faults${count}}`
    const journal = join(dir, `journal${count}`)
    appendFileSync(journal, '')
    const settings = { ...QUICK_LOCKS, prefix, maxWaiting: 1_000 }
    const queue = await BullJobQueue.open(
      { redisUrl: redis.url, settings, commandTimeoutMs: 500 },
      { log: silentLog(), clock },
    )
    const start = async (): Promise<ChildProcess> => {
      const child = fork(SCRIPT, [redis.url, prefix, journal])
      children.add(child)
      await once(child, 'message')
      return child
    }
    t.after(async () => {
      for (const child of children) await kill(child)
      children.clear()
      await queue.close()
    })
    const add = (name: string, payload: object = {}) =>
      queue.enqueue({
        kind: 'upscale',
        hotkey: 'caller',
        taskId: name,
        payload: { name, ...payload },
        stake: 1,
        timeoutMs: 120_000,
      })
    const lines = (word: string) =>
      readFileSync(journal, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith(`${word} `))
        .map((line) => line.split(' ')[1])
    return { queue, start, add, lines, prefix }
  }

  async function kill(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  const soon = () => AbortSignal.timeout(60_000)

  it('loses no job and finishes each once while its workers are killed', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    const rng = new SeededRng('kill the workers')
    let worker = await start()
    const ids: string[] = []
    for (let n = 0; n < 16; n += 1) ids.push((await add(`job${n}`, { workMs: 200 })).id)
    for (let n = 0; n < 5; n += 1) {
      await clock.sleep(rng.int(250))
      await kill(worker)
      worker = await start()
    }
    const views = await Promise.all(ids.map((id) => queue.wait(id, soon())))
    for (const view of views) assert.equal(view.state, 'completed', JSON.stringify(view))
    const done = lines('done')
    assert.deepEqual([...new Set(done)].sort(), ids.map((_, n) => `job${n}`).sort())
    assert.ok(lines('start').length > 16, 'some runs must have been cut short')
  })

  it('fails a job that kills its worker again and again, and none that ran beside it', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    let worker = await start()
    const poison = await add('poison', { poison: true })
    const beside = await add('beside', { workMs: 2_000 })
    let over = false
    const ended = queue.wait(poison.id, soon()).finally(() => {
      over = true
    })
    while (!over) {
      await Promise.race([once(worker, 'exit'), ended])
      if (worker.signalCode !== null) worker = await start()
    }
    assert.equal((await ended).error?.code, 'QUEUE_POISON')
    assert.ok(lines('start').filter((name) => name === 'poison').length <= 7)
    const other = await add('other')
    for (const { id } of [beside, other]) {
      assert.equal((await queue.wait(id, soon())).state, 'completed')
    }
  })

  it('takes no job for poison because its workers are killed faster than it can finish', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    const rng = new SeededRng('storm')
    const ids: string[] = []
    const starts = () => lines('start').length
    let worker = await start()
    for (const name of ['a', 'b', 'c']) ids.push((await add(name, { workMs: 1_500 })).id)
    for (let n = 1; n <= 8; n += 1) {
      while (starts() < n) await clock.sleep(20)
      await clock.sleep(rng.int(600))
      await kill(worker)
      worker = await start()
    }
    const views = await Promise.all(ids.map((id) => queue.wait(id, soon())))
    for (const view of views) assert.equal(view.state, 'completed', JSON.stringify(view))
    assert.equal(lines('done').length, 3)
  })

  it('drops the late result of a worker that was blocked while another took over', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    const first = await start()
    const release = join(dir, 'release')
    const { id } = await add('blocked', { blockUntil: release })
    while (lines('start').length === 0) await clock.sleep(20)
    const second = await start()
    const view = await queue.wait(id, soon())
    assert.deepEqual(view.result, { name: 'blocked', pid: second.pid })
    writeFileSync(release, '')
    // It hears the signal only once it is no longer blocked, its own run at an end.
    await kill(first, 'SIGTERM')
    assert.deepEqual((await queue.view(id))?.result, view.result)
  })

  it('gives a job back when its worker is told to stop, without counting a failure', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    const first = await start()
    const { id } = await add('long', { workMs: 1_500 })
    while (lines('start').length === 0) await clock.sleep(20)
    await kill(first, 'SIGTERM')
    assert.equal(first.exitCode, 0)
    assert.equal((await queue.view(id))?.state, 'waiting')
    await start()
    const view = await queue.wait(id, soon())
    assert.equal(view.state, 'completed')
    assert.equal(lines('done').length, 1)
  })

  it('keeps every accepted job through kills of Redis, and refuses at once meanwhile', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    await start()
    const accepted: string[] = []
    let refused = 0
    for (let round = 0; round < 2; round += 1) {
      for (let n = 0; n < 20; n += 1) {
        accepted.push((await add(`r${round}n${n}`, { workMs: 20 })).id)
      }
      await redis.kill()
      const startMs = clock.monotonic()
      await assert.rejects(
        add(`while${round}`),
        (error: unknown) => error instanceof SubnetError && error.code === 'QUEUE_UNAVAILABLE',
      )
      refused += 1
      assert.ok(clock.monotonic() - startMs < 1_000)
      await redis.up()
      while (
        await queue.ping().then(
          () => false,
          () => true,
        )
      )
        await clock.sleep(20)
    }
    assert.equal(refused, 2)
    const views = await Promise.all(accepted.map((id) => queue.wait(id, soon())))
    for (const view of views) assert.equal(view.state, 'completed', JSON.stringify(view))
    assert.equal(new Set(lines('done')).size, 40)
  })

  it('answers within its deadline while Redis hangs, and goes on after', async (t) => {
    const { queue, start, add, lines } = await setUp(t)
    await start()
    const before = await add('before', { workMs: 100 })
    redis.pause()
    const startMs = clock.monotonic()
    const outcomes = await Promise.allSettled([add('a'), add('b'), queue.capacity('upscale')])
    assert.ok(clock.monotonic() - startMs < 4_500)
    for (const outcome of outcomes) assert.equal(outcome.status, 'rejected')
    await clock.sleep(1_500)
    redis.resume()
    assert.equal((await queue.wait(before.id, soon())).state, 'completed')
    while (
      await queue.ping().then(
        () => false,
        () => true,
      )
    )
      await clock.sleep(20)
    const again = await add('a')
    assert.equal((await queue.wait(again.id, soon())).state, 'completed')
    assert.equal(lines('done').filter((name) => name === 'a').length, 1)
    assert.ok(must(lines('done').length, 'runs') >= 2)
  })
})
