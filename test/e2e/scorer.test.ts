import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ScoreRecord } from '#src/scoring/types.js'
import { freePorts } from '../support/ports.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const clip = (name: string): string => `${root}test/fixtures/media/${name}`

interface Answer {
  readonly results: readonly [{ readonly record: ScoreRecord }, { readonly record: ScoreRecord }]
  readonly copies: readonly unknown[]
}

describe('scorer process', () => {
  it('judges two results of one reference, shows metrics, and stops when told', async () => {
    const [port = 0, adminPort = 0] = await freePorts(2)
    const child = fork(
      `${root}dist/services/scorer/main.js`,
      [
        ...['--scorer.port', `${port}`, '--admin.port', `${adminPort}`, '--device', 'cpu'],
        ...['--scorer.local_folders', `${root}test/fixtures/media`],
      ],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    )
    try {
      await once(child, 'message')
      const response = await fetch(`http://127.0.0.1:${port}/score`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          task: 'compression',
          reference: { path: clip('launch.ref.mp4') },
          threshold: 90,
          results: [
            { id: 'honest', path: clip('launch.crf23.mp4') },
            { id: 'frozen', path: clip('launch.freeze.mp4') },
          ],
          every: 3,
        }),
      })
      assert.equal(response.status, 200)
      const answer = (await response.json()) as Answer
      const [honest, frozen] = answer.results
      assert.ok(honest.record.score > 0.2, honest.record.reason)
      assert.equal(honest.record.device, 'cpu')
      assert.equal(frozen.record.score, 0, frozen.record.reason)
      assert.deepEqual(answer.copies, [])
      const metrics = await fetch(`http://127.0.0.1:${adminPort}/metrics`)
      assert.match(await metrics.text(), /subnet_scoring_requests_total\{.*outcome="done"\} 1/)
    } finally {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = await exited
      assert.equal(code, 0)
    }
  })
})
