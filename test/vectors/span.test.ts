// Golden pixels of PyPI ncnn 1.0.20261020: see test/fixtures/span/README.md.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import { SpanModel } from '#src/engines/upscale/span-model.js'
import { pixels } from '../support/clips.js'

const FIXTURES = new URL('../../../test/fixtures/', import.meta.url)
const golden = (name: string) => readFile(new URL(`span/${name}`, FIXTURES))

for (const scale of [2, 4] as const) {
  test(`SPAN x${scale} gives the pixels of the reference runtime`, async () => {
    const model = await SpanModel.load(scale)
    const actual = await model.upscale(await golden('patch.rgb'), 64, 48)
    const expected = await golden(`patch.x${scale}.rgb`)
    assert.equal(actual.length, expected.length)
    let different = 0
    for (const [i, value] of expected.entries()) {
      const difference = Math.abs(value - (actual[i] ?? 0))
      assert.ok(difference <= 1, `value ${i} differs by ${difference}`)
      if (difference > 0) different += 1
    }
    assert.ok(different < expected.length / 1000, `${different} values are off by one`)
    await model.close()
  })
}

test('a picture in tiles comes out as in one piece', async () => {
  const model = await SpanModel.load(2)
  const clip = new URL('media/bbb480.ref.mp4', FIXTURES).pathname
  const picture = await pixels(clip, 1, 'rgb24')
  // 400 pixels wide makes two tiles; the middle of both is also upscaled alone, with its surroundings.
  const cut = (x: number, width: number) => {
    const rows = Array.from({ length: 60 }, (_, y) => {
      const start = ((y + 100) * 854 + x) * 3
      return picture.subarray(start, start + width * 3)
    })
    return Buffer.concat(rows)
  }
  const tiled = await model.upscale(cut(0, 400), 400, 60)
  const whole = await model.upscale(cut(100, 200), 200, 60)
  const margin = 40
  for (let y = 0; y < 120; y += 1) {
    const a = tiled.subarray((y * 800 + 200 + margin) * 3, (y * 800 + 600 - margin) * 3)
    const b = whole.subarray((y * 400 + margin) * 3, (y * 400 + 400 - margin) * 3)
    assert.ok(Buffer.compare(a, b) === 0, `row ${y} shows the seam`)
  }
  await model.close()
})
