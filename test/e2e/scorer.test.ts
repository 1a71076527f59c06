import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '#src/lib/clock.js'
import type { ScoreRecord } from '#src/scoring/types.js'
import { tempFolder } from '../support/clips.js'
import { MinerProcess, SHIPPED } from '../support/miner.js'
import { freePorts } from '../support/ports.js'
import { processesWith } from '../support/processes.js'

const clock = new SystemClock()
const root = fileURLToPath(new URL('../../../', import.meta.url))
const clip = (name: string): string => `${root}test/fixtures/media/${name}`

interface Answer {
  readonly results: readonly [{ readonly record: ScoreRecord }, { readonly record: ScoreRecord }]
  readonly copies: readonly unknown[]
}

interface Scorer {
  readonly process: MinerProcess
  readonly url: string
  readonly adminUrl: string
}

async function startScorer(folder: string): Promise<Scorer> {
  const [port = 0, adminPort = 0] = await freePorts(2)
  const process = await MinerProcess.run(SHIPPED.scorer, folder, [
    ...['--scorer.port', `${port}`, '--admin.port', `${adminPort}`, '--device', 'cpu'],
    ...['--scorer.local_folders', folder],
  ])
  return { process, url: `http://127.0.0.1:${port}`, adminUrl: `http://127.0.0.1:${adminPort}` }
}

const score = (
  scorer: Scorer,
  reference: string,
  results: Readonly<Record<string, string>>,
  task: object = { task: 'compression', threshold: 90 },
) =>
  fetch(`${scorer.url}/score`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      ...task,
      reference: { path: reference },
      results: Object.entries(results).map(([id, path]) => ({ id, path })),
      every: 3,
    }),
  })

describe('scorer process', () => {
  it('judges results of both tasks, shows metrics, and stops when told', async () => {
    const scorer = await startScorer(`${root}test/fixtures/media`)
    try {
      const response = await score(scorer, clip('launch.ref.mp4'), {
        honest: clip('launch.crf23.mp4'),
        frozen: clip('launch.freeze.mp4'),
      })
      assert.equal(response.status, 200)
      const answer = (await response.json()) as Answer
      const [honest, frozen] = answer.results
      assert.ok(honest.record.score > 0.2, honest.record.reason)
      assert.equal(honest.record.device, 'cpu')
      assert.equal(frozen.record.score, 0, frozen.record.reason)
      assert.deepEqual(answer.copies, [])
      const task = { task: 'upscaling', scale: 2, codecs: ['h264'] }
      const upscaled = await score(
        scorer,
        clip('launch.ref.mp4'),
        { sharp: clip('launch.crf23.mp4') },
        task,
      )
      const [sharp] = ((await upscaled.json()) as Answer).results
      assert.equal(sharp.record.task, 'upscaling')
      assert.ok(sharp.record.score > 0.01, sharp.record.reason)
      const metrics = await fetch(`${scorer.adminUrl}/metrics`)
      assert.match(await metrics.text(), /subnet_scoring_requests_total\{.*outcome="done"\} 1/)
    } finally {
      assert.equal(await scorer.process.end('SIGTERM'), 0)
    }
  })

  it('killed in the middle of a clip: its caller learns at once, no tool outlives it, the next one scores', async (t) => {
    const folder = await tempFolder(t)
    const [reference, result] = [join(folder, 'reference.mp4'), join(folder, 'result.mp4')]
    await copyFile(clip('launch.ref.mp4'), reference)
    await copyFile(clip('launch.crf23.mp4'), result)
    const scorer = await startScorer(folder)
    const asked = score(scorer, reference, { result })
    asked.catch(() => {})
    while ((await processesWith(folder)).filter((pid) => pid !== scorer.process.pid).length === 0)
      await clock.sleep(10)
    await scorer.process.end('SIGKILL')
    await assert.rejects(asked)
    while ((await processesWith(folder)).length > 0) await clock.sleep(20)
    const next = await startScorer(folder)
    try {
      assert.equal((await score(next, reference, { result })).status, 200)
    } finally {
      assert.equal(await next.process.end('SIGTERM'), 0)
    }
  })
})
