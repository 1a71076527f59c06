import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import test from 'node:test'
import { promisify } from 'node:util'
import { SpanModel } from '#src/engines/upscale/span-model.js'

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
