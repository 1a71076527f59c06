// The scorer's HTTP face: what it refuses, and how its queue behaves. The judge here waits when told.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { withResolvers } from '#src/lib/resources.js'
import type { Judge, Judged } from '#src/scoring/judge/index.js'
import { createMetrics, ScoreService } from '#src/scoring/service/index.js'
import type { ScoreRecord } from '#src/scoring/types.js'

const RECORD: ScoreRecord = {
  version: 1,
  task: 'compression',
  score: 0.5,
  reason: 'Scored 0.5000: a record for tests.',
  inputs: {
    reference: { sha256: '0'.repeat(64), sizeBytes: 1 },
    result: { sha256: '1'.repeat(64), sizeBytes: 1 },
    parameters: {},
  },
  gates: [{ code: 'readable', passed: true, detail: 'yes' }],
  metrics: {},
  models: [],
  formula: { name: 'vidaio-compression', constants: {} },
  device: 'cpu',
  tool: { name: 'subreel', version: '0.0.0' },
}

/** Answers every result with the same record, once it is let go. */
class WaitingJudge implements Judge {
  readonly asked: string[][] = []
  readonly started = withResolvers<void>()
  gate: Promise<void> = Promise.resolve()
  failure: Error | undefined

  async scoreCompression(task: { results: readonly { id: string }[] }): Promise<Judged[]> {
    this.asked.push(task.results.map(({ id }) => id))
    this.started.resolve()
    await this.gate
    if (this.failure !== undefined) throw this.failure
    return task.results.map(({ id }) => ({ id, record: RECORD, fingerprint: undefined }))
  }

  scoreUpscaling(task: { results: readonly { id: string }[] }): Promise<Judged[]> {
    return this.scoreCompression(task)
  }
}

describe('scorer over HTTP', () => {
  let folder: string
  let allowed: string
  let judge: WaitingJudge
  let service: ScoreService
  let metricsText: () => Promise<string>

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-scorer-test-'))
    allowed = join(folder, 'allowed')
    await mkdir(allowed)
    await writeFile(join(allowed, 'a.mp4'), 'reference')
    await writeFile(join(allowed, 'b.mp4'), 'result')
    await writeFile(join(folder, 'secret.mp4'), 'secret')
    await symlink(join(folder, 'secret.mp4'), join(allowed, 'link.mp4'))
  })
  after(() => rm(folder, { recursive: true, force: true }))

  beforeEach(async () => {
    await service?.app.close()
    judge = new WaitingJudge()
    const registry = createRegistry()
    metricsText = () => registry.metrics()
    service = new ScoreService(
      {
        active: 1,
        waiting: 1,
        maxInputBytes: 1000,
        jobTimeoutMs: 60_000,
        tempDir: folder,
        localFolders: [allowed],
      },
      {
        judge,
        fetcher: new GuardedFetcher(),
        clock: new SystemClock(),
        log: silentLog(),
        metrics: createMetrics(registry),
        stopping: new AbortController().signal,
      },
    )
  })
  after(() => service.app.close())

  const body = (more: object = {}): object => ({
    task: 'compression',
    reference: { path: join(allowed, 'a.mp4') },
    results: [{ id: 'one', path: join(allowed, 'b.mp4') }],
    ...more,
  })
  /** Starts at once: inject alone would wait until somebody awaits it. */
  const post = async (payload: object) =>
    await service.app.inject({ method: 'POST', url: '/score', payload })

  it('answers with a record for each result, and counts them', async () => {
    const second = { id: 'two', path: join(allowed, 'b.mp4') }
    const first = { id: 'one', path: join(allowed, 'b.mp4') }
    const response = await post(body({ results: [first, second] }))
    assert.equal(response.statusCode, 200)
    const { results } = response.json()
    assert.deepEqual(
      results.map((result: { id: string; record: ScoreRecord }) => [
        result.id,
        result.record.score,
      ]),
      [
        ['one', 0.5],
        ['two', 0.5],
      ],
    )
    assert.match(
      await metricsText(),
      /subnet_scoring_results_total\{task="compression",gate="none"\} 2/,
    )
  })

  it('names every wrong field of a bad body', async () => {
    for (const bad of [
      { threshold: 101 },
      { results: [] },
      { task: 'painting' },
      { codec: 'theora' },
      { reference: { path: 'x', url: 'y' } },
    ]) {
      const response = await post(body(bad))
      assert.equal(response.statusCode, 400, JSON.stringify(bad))
      assert.equal(response.json().error.code, 'BAD_REQUEST')
    }
  })

  it('reads no file outside the listed folders, not even through a link', async () => {
    for (const path of [
      join(folder, 'secret.mp4'),
      join(allowed, '..', 'secret.mp4'),
      join(allowed, 'link.mp4'),
      join(allowed, 'missing.mp4'),
    ]) {
      const response = await post(body({ reference: { path } }))
      assert.equal(response.statusCode, 422, path)
      assert.equal(response.json().error.code, 'SCORING_PATH_REFUSED')
    }
    assert.equal(judge.asked.length, 0)
  })

  it('fetches nothing from this machine, and says which result it could not have', async () => {
    const inside = { id: 'inside', url: 'http://127.0.0.1:9/secret' }
    const good = { id: 'good', path: join(allowed, 'b.mp4') }
    const response = await post(body({ results: [inside, good] }))
    assert.equal(response.statusCode, 200)
    const [first, second] = response.json().results
    assert.match(first.error.code, /^FETCH_/)
    assert.equal(second.record.score, 0.5)
    assert.deepEqual(judge.asked, [['good']])
  })

  it('turns callers away with Retry-After when all places are taken', async () => {
    const held = withResolvers<void>()
    judge.gate = held.promise
    const first = post(body())
    await judge.started.promise
    const second = post(body())
    const third = await post(body())
    assert.equal(third.statusCode, 429)
    assert.ok(Number(third.headers['retry-after']) > 0)
    held.resolve()
    assert.equal((await first).statusCode, 200)
    assert.equal((await second).statusCode, 200)
  })

  it('answers 503 for a fault of its own, so that no miner is scored 0 for it', async () => {
    judge.failure = new Error('the models are gone')
    const response = await post(body())
    assert.equal(response.statusCode, 503)
    assert.deepEqual(response.json().error.code, 'INTERNAL')
    assert.ok(response.json().error.retryable)
    assert.ok(!response.body.includes('models are gone'), 'the cause stays in the log')
  })

  it('takes no work while it stops, and lets running work end', async () => {
    const held = withResolvers<void>()
    judge.gate = held.promise
    const running = post(body())
    await judge.started.promise
    const drained = service.drain()
    assert.equal((await post(body())).statusCode, 503)
    held.resolve()
    await drained
    assert.equal((await running).statusCode, 200)
  })

  it('says how busy it is', async () => {
    const response = await service.app.inject('/health')
    assert.deepEqual(response.json(), {
      status: 'healthy',
      service: 'scorer',
      active: 0,
      waiting: 0,
    })
  })
})
