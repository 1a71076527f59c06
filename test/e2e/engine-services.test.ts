import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { probeVideo } from '#src/media/index.js'
import { makeClip, tempFolder } from '../support/clips.js'
import { TestRedis } from '../support/redis.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** Starts a built service on free ports; resolves with its origin and a way to end it. */
async function start(t: TestContext, name: 'upscaler' | 'compressor', redis: TestRedis) {
  const folder = await tempFolder(t)
  const settings = {
    [`${name}.port`]: '0',
    'redis.url': redis.url,
    'neuron.data_dir': join(folder, 'data'),
    'neuron.temp_dir': folder,
    'allow-private-urls': 'true',
    device: 'cpu',
  }
  const flags = Object.entries(settings).map(([key, value]) => `--${key}=${value}`)
  const child = spawn(process.execPath, [join(ROOT, `dist/services/${name}/main.js`), ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)))
    lines.on('line', (line) => {
      const entry = JSON.parse(line)
      if (entry.event === 'service.started') resolve(entry.port)
      if (entry.event === 'job.failed') t.diagnostic(line)
    })
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    return code as number
  }
  return { origin: `http://127.0.0.1:${port}`, folder, stop }
}

async function serveFile(t: TestContext, path: string): Promise<string> {
  const server = createServer((_, response) => createReadStream(path).pipe(response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/clip.mp4`
}

async function post(url: string, body: object) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test('the services fetch, work, store and answer with a URL, and end cleanly', async (t) => {
  const redis = await TestRedis.start()
  t.after(() => redis.close())
  const folder = await tempFolder(t)
  const clip = await makeClip(join(folder, 'in.mp4'), { frames: 12, size: '96x64' })
  const url = await serveFile(t, clip)
  const download = async (from: unknown, name: string) => {
    const response = await fetch(String(from))
    assert.equal(response.status, 200)
    const path = join(folder, name)
    await writeFile(path, Buffer.from(await response.arrayBuffer()))
    return (await probeVideo(path)).video
  }

  const upscaler = await start(t, 'upscaler', redis)
  const health = await (await fetch(`${upscaler.origin}/health`)).json()
  assert.equal((health as { engine: string }).engine, 'span-onnx')
  const up = await post(`${upscaler.origin}/upscale-video`, {
    payload_url: url,
    task_type: 'HD24K',
  })
  assert.equal(up.status, 200)
  const large = await download(up.body['uploaded_video_url'], 'up.mp4')
  assert.deepEqual([large.width, large.height, large.frames], [192, 128, 12])
  assert.equal(await upscaler.stop(), 0)
  assert.deepEqual(await readdir(join(upscaler.folder, 'subreel-work')), [], 'no working file')

  const compressor = await start(t, 'compressor', redis)
  const down = await post(`${compressor.origin}/compress-video`, {
    payload_url: url,
    vmaf_threshold: 85,
    target_codec: 'h264',
    codec_mode: 'CRF',
    target_bitrate: 10,
  })
  assert.equal(down.status, 200)
  const small = await download(down.body['uploaded_video_url'], 'down.mp4')
  assert.deepEqual([small.width, small.frames, small.codec], [96, 12, 'h264'])
  assert.equal(await compressor.stop(), 0)
})
