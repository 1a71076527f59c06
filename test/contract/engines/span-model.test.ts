import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'
import { EngineError } from '#src/engines/index.js'
import { SpanEngine } from '#src/engines/upscale/span-engine.js'
import { SpanModel } from '#src/engines/upscale/span-model.js'
import { makeClip, tempFolder } from '../../support/clips.js'

test('a device that fails in the middle is told from a video that cannot be done', async () => {
  const model = await SpanModel.load(2, { threads: 1 })
  const picture = new Uint8Array(8 * 8 * 3)
  assert.equal((await model.upscale(picture, 8, 8)).length, 16 * 16 * 3)
  await model.close()
  await assert.rejects(model.upscale(picture, 8, 8), {
    code: 'ENGINE_UNAVAILABLE',
    retryable: true,
  })
})

test('an engine whose session failed loads another one for the next video', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 2 })
  const engine = new SpanEngine({ threads: 1 })
  t.after(() => engine.close())
  const { signal } = new AbortController()
  await engine.ready(signal)
  const broken = new Set<SpanModel>()
  const upscale = SpanModel.prototype.upscale
  t.mock.method(SpanModel.prototype, 'upscale', function (this: SpanModel, ...picture: never) {
    if (broken.size === 0) broken.add(this)
    if (!broken.has(this)) return upscale.apply(this, picture)
    const lost = { code: 'ENGINE_UNAVAILABLE', engine: 'span-onnx' } as const
    return Promise.reject(new EngineError(lost, 'the device is gone'))
  })
  const run = () => engine.run({ path, params: { scale: 2 } }, { workDir: folder, signal })
  await assert.rejects(run(), { code: 'ENGINE_UNAVAILABLE' })
  assert.equal((await run()).frames, 2)
})

test('without a GPU, auto takes the CPU and writes nothing to the console', async () => {
  const gpus = await readdir('/proc/driver/nvidia/gpus').catch(() => [])
  const url = import.meta.resolve('#src/engines/upscale/span-model.js')
  const script = `const { SpanModel } = await import(${JSON.stringify(url)})
    const model = await SpanModel.load(2, { device: 'auto', threads: 1 })
    console.log(model.device)
    await model.close()`
  const args = ['--input-type=module', '--eval', script]
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args)
  if (gpus.length > 0) return assert.match(stdout, /^(cuda:0|cpu)\n$/)
  assert.deepEqual([stdout, stderr], ['cpu\n', ''])
})
