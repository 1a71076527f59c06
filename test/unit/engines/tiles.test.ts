import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { cut, paste, planTiles } from '#src/engines/upscale/tiles.js'

test('tiles keep every pixel exactly once and read only inside the picture', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 16, max: 320 }),
      fc.integer({ min: 0, max: 24 }),
      (width, height, size, border) => {
        const tiles = planTiles(width, height, size, border)
        const kept = tiles.reduce((sum, { keep }) => sum + keep.width * keep.height, 0)
        assert.equal(kept, width * height)
        const corners = new Set(tiles.map(({ keep }) => `${keep.x},${keep.y}`))
        assert.equal(corners.size, tiles.length)
        for (const { read, keep } of tiles) {
          assert.ok(keep.width <= size && keep.height <= size)
          assert.ok(read.x >= 0 && read.y >= 0)
          assert.ok(read.x + read.width <= width && read.y + read.height <= height)
          assert.ok(keep.x - read.x === Math.min(border, keep.x))
          assert.ok(keep.y - read.y === Math.min(border, keep.y))
        }
      },
    ),
  )
})

test('a picture cut into tiles and pasted together again is the same', () => {
  const [width, height] = [37, 23]
  const picture = Uint8Array.from({ length: width * height * 3 }, (_, i) => i % 251)
  const pixels = new Uint8Array(picture.length)
  for (const { read, keep } of planTiles(width, height, 10, 3)) {
    const tile = cut(picture, width, read, 3)
    const from = { ...keep, x: keep.x - read.x, y: keep.y - read.y }
    paste({ pixels: tile, width: read.width }, from, { pixels, width }, keep, 3)
  }
  assert.deepEqual(pixels, picture)
})
