import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ModelStore } from '#src/scoring/metrics/index.js'

const scripts = new URL('../../../../scripts/models/', import.meta.url)

test('every shipped model is the one its manifest pins, and small enough to ship', async () => {
  const store = await ModelStore.open()
  assert.ok(store.entries.length > 10)
  for (const { name, licence, source } of store.entries) {
    const data = await store.read(name)
    assert.ok(data.length < 10 * 1024 ** 2, `${name}: ${data.length} bytes`)
    assert.ok(licence.length > 0 && source.length > 0, name)
  }
})

test('the scripts make the graphs of VMAF again, byte for byte', async () => {
  const load = (file: string): Promise<Record<string, (input: unknown) => unknown>> =>
    import(new URL(file, scripts).href)
  const { encodeModel } = await load('onnx.mjs')
  const makers = { ...(await load('vmaf-graph.mjs')), ...(await load('vmaf-strips.mjs')) }
  const store = await ModelStore.open()
  for (const maker of ['featuresModel', 'motionModel', 'stripFeaturesModel', 'stripMotionModel']) {
    for (const depth of [8, 10]) {
      const model = makers[maker]?.(depth) as { name: string }
      const data = encodeModel?.(model) as Buffer
      const sha256 = createHash('sha256').update(data).digest('hex')
      assert.equal(sha256, store.entry(model.name).sha256, model.name)
    }
  }
})
