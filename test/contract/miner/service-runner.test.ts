import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import test from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { withResolvers } from '#src/lib/resources.js'
import { ServiceRunner, upscaleBody } from '#src/miner/service-runner.js'

test('a service without a result is told from one whose engine is dead', async (t) => {
  let health = 200
  const working = withResolvers<void>()
  const server = createServer(async (request, response) => {
    request.resume()
    if (request.url !== '/health') await working.promise
    response.statusCode = request.url === '/health' ? health : 200
    response.end('{"uploaded_video_url": null}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  const runner = new ServiceRunner(
    {
      kind: 'upscale',
      url: `http://127.0.0.1:${port}`,
      path: '/upscale-video',
      timeoutMs: 10_000,
      bodyOf: upscaleBody,
      expirySeconds: 600,
    },
    { fetcher: new GuardedFetcher({ allowPrivate: true }), clock: new SystemClock() },
  )
  const context = {
    jobId: 'j',
    hotkey: 'h',
    leftMs: 10_000,
    workDir: '',
    signal: new AbortController().signal,
    onProgress: () => {},
  }
  const video = { url: 'http://clips.example/a.mp4', scale: 2, maxSizeBytes: 1e8 } as const
  const first = runner.run(video, context)
  health = 503
  // One that is busy with our video may have no answer to anything else.
  await runner.ready(context.signal)
  health = 200
  working.resolve()
  await assert.rejects(first, { code: 'MINER_SERVICE_FAILED' })
  health = 404
  await runner.ready(context.signal)
  await assert.rejects(runner.run(video, context), { code: 'MINER_SERVICE_FAILED' })
  health = 503
  await assert.rejects(runner.run(video, context), { code: 'MINER_ENGINE_DOWN' })
})
