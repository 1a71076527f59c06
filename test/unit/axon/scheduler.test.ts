import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Scheduler, type Slot } from '#src/axon/scheduler.js'
import { FakeClock } from '../../support/fake-clock.js'

/** Runs one handler at a time and notes who started when. */
class Desk {
  readonly clock = new FakeClock(0)
  readonly started: string[] = []
  readonly refused: string[] = []
  readonly scheduler: Scheduler
  #release: (() => void) | undefined

  constructor(queueLimit = 100, ageAfterMs = 5000) {
    this.scheduler = new Scheduler({ clock: this.clock, concurrency: 1, queueLimit, ageAfterMs })
  }

  arrive(name: string, priority: number, signal?: AbortSignal): void {
    const note = (slot: Slot) => {
      if (!slot.granted) {
        this.refused.push(`${name} ${slot.why}`)
        return
      }
      this.started.push(name)
      this.#release = slot.release
    }
    const slot = this.scheduler.acquire(priority, signal)
    if (slot instanceof Promise) void slot.then(note)
    else note(slot)
  }

  /** The running handler ends after `ms`. */
  async finish(ms = 0): Promise<void> {
    await this.clock.advance(ms)
    this.#release?.()
    await this.clock.advance(0)
  }
}

describe('the scheduler', () => {
  it('starts the greatest stake next, whoever came first', async () => {
    const desk = new Desk()
    desk.arrive('running', 0)
    for (const name of ['low 1', 'low 2', 'low 3']) desk.arrive(name, 1)
    desk.arrive('high', 1000)
    await desk.finish()
    assert.equal(desk.started.at(-1), 'high')
  })

  it('serves equals in the order they came', async () => {
    const desk = new Desk()
    desk.arrive('running', 0)
    for (const name of ['a', 'b', 'c']) desk.arrive(name, 7)
    for (let i = 0; i < 3; i += 1) await desk.finish()
    assert.deepEqual(desk.started.slice(1), ['a', 'b', 'c'])
  })

  it('starves nobody: a low caller is served while high ones keep coming', async () => {
    const desk = new Desk(100, 5000)
    desk.arrive('running', 0)
    desk.arrive('low', 1)
    let rounds = 0
    while (!desk.started.includes('low')) {
      desk.arrive('high', 1000)
      desk.arrive('high', 1000)
      await desk.finish(1000)
      rounds += 1
      assert.ok(rounds <= 5 + 4, 'served after its age and at most four more starts')
    }
    assert.ok(rounds > 5, 'not before its time')
  })

  it('gives the place of the lowest in a full queue to a greater stake', async () => {
    const desk = new Desk(2)
    desk.arrive('running', 0)
    desk.arrive('mid', 5)
    desk.arrive('low', 1)
    desk.arrive('lower still', 0)
    desk.arrive('high', 9)
    await desk.finish()
    assert.deepEqual(desk.refused, ['lower still full', 'low displaced'])
    assert.equal(desk.started.at(-1), 'high')
  })

  it('lets go of who hangs up, and refuses all when closed', async () => {
    const desk = new Desk()
    const caller = new AbortController()
    desk.arrive('running', 0)
    desk.arrive('gone', 5, caller.signal)
    desk.arrive('waiting', 1)
    caller.abort()
    await desk.clock.advance(0)
    assert.equal(desk.scheduler.waiting, 1)
    desk.scheduler.close()
    desk.arrive('late', 9)
    await desk.clock.advance(0)
    assert.deepEqual(desk.refused, ['gone gone', 'late gone', 'waiting gone'])
  })

  it('never runs more than its limit, loses nobody and frees every slot', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 }),
        async (concurrency, priorities) => {
          const clock = new FakeClock(0)
          const scheduler = new Scheduler({ clock, concurrency, queueLimit: 1000, ageAfterMs: 10 })
          let running = 0
          let served = 0
          await Promise.all(
            priorities.map(async (priority) => {
              const slot = await scheduler.acquire(priority)
              assert.ok(slot.granted)
              running += 1
              assert.ok(running <= concurrency)
              await new Promise((resolve) => setImmediate(resolve))
              running -= 1
              served += 1
              slot.release()
              slot.release()
            }),
          )
          assert.deepEqual([served, scheduler.active, scheduler.waiting], [priorities.length, 0, 0])
        },
      ),
      { numRuns: 30 },
    )
  })
})
