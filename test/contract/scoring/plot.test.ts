// What the plot of a pair shows, read back from its pixels.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { readFrames } from '#src/media/index.js'
import { drawPlot } from '#src/scoring/judge/plot.js'
import { poolSeries } from '#src/scoring/metrics/index.js'

const clip = (name: string): string =>
  fileURLToPath(new URL(`../../../../test/fixtures/media/${name}`, import.meta.url))
const [reference, result] = [clip('launch.ref.mp4'), clip('launch.crf40.mp4')]

const FRAMES = 18
/** Every second frame of the clip was scored. */
const EVERY = 2
const THRESHOLD = 85
const vmaf = Array.from({ length: FRAMES }, (_, i) => 96 - 0.5 * i)
/** Three dips, of which the last is the deepest. */
const vmafNeg = Array.from(
  { length: FRAMES },
  (_, i) => 84 - 6 * Math.cos((2 * Math.PI * (i + 3)) / 6) - 0.3 * i,
)
const DIPS = [15, 9, 3]

type Colour = readonly [number, number, number]
const BLUE: Colour = [0x1f, 0x77, 0xb4]
const RED: Colour = [0xd6, 0x27, 0x28]
const GREEN: Colour = [0x2c, 0xa0, 0x2c]

describe('the plot of a pair', () => {
  let data: Buffer
  let width = 0
  let height = 0
  before(async () => {
    const png = await drawPlot(
      {
        ...{ reference, result, title: 'a <b> & "c"', threshold: THRESHOLD, every: EVERY },
        vmaf: poolSeries('VMAF', vmaf),
        vmafNeg: poolSeries('VMAF NEG', vmafNeg),
      },
      {},
    )
    const raw = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true })
    data = raw.data
    ;({ width, height } = raw.info)
  })

  const pixel = (x: number, y: number): Colour => {
    const at = 3 * (y * width + x)
    return [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0]
  }
  const alike = (a: Colour, b: Colour) => a.every((v, i) => Math.abs(v - (b[i] ?? 0)) < 24)
  /** Rows of the chart, below its legend, in which column `x` has a colour. */
  const rowsOf = (colour: Colour, x: number): number[] =>
    Array.from({ length: 340 }, (_, i) => 64 + i).filter((y) => alike(pixel(x, y), colour))
  const middle = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length

  it('draws both series frame by frame on one scale, and the threshold', () => {
    const columns = Array.from({ length: width }, (_, x) => x)
    const drawn = columns.filter((x) => rowsOf(RED, x).length > 0)
    const [left = 0, right = 0] = [drawn[0], drawn.at(-1)]
    const at = (i: number) =>
      Math.min(
        right - 1,
        Math.max(left + 1, Math.round(left + (i * (right - left)) / (FRAMES - 1))),
      )
    // The scale, from the ends of the upper series.
    const [top, bottom] = [middle(rowsOf(BLUE, at(0))), middle(rowsOf(BLUE, at(FRAMES - 1)))]
    const perPoint = (bottom - top) / ((vmaf[0] ?? 0) - (vmaf[FRAMES - 1] ?? 0))
    const rowOf = (value: number) => top + ((vmaf[0] ?? 0) - value) * perPoint
    for (const [series, colour] of [
      [vmaf, BLUE],
      [vmafNeg, RED],
    ] as const) {
      for (const [i, value] of series.entries()) {
        const row = middle(rowsOf(colour, at(i)))
        assert.ok(Math.abs(row - rowOf(value)) < 5, `frame ${i}: row ${row}, not ${rowOf(value)}`)
      }
    }
    const asked = columns.flatMap((x) => (x < right - 150 ? rowsOf(GREEN, x) : []))
    assert.ok(
      Math.abs(middle(asked) - rowOf(THRESHOLD)) < 2,
      `the line of the threshold: row ${middle(asked)}, not ${rowOf(THRESHOLD)}`,
    )
  })

  it('shows the three worst frames, the reference left and the result right', async () => {
    const margin = 24
    const filled = (y: number) => !alike(pixel(margin, y), [255, 255, 255])
    const tops = Array.from({ length: height }, (_, y) => y).filter(
      (y) => y > 420 && filled(y) && !filled(y - 1),
    )
    assert.equal(tops.length, DIPS.length)
    const wide = 560
    for (const [path, left] of [
      [reference, margin],
      [result, margin + wide + 16],
    ] as const) {
      const frames: Uint8Array[] = []
      const size = { width: wide, height: 315 }
      for await (const frame of readFrames(path, { pixelFormat: 'rgb24', ...size })) {
        frames.push(frame.data)
      }
      for (const [row, dip] of DIPS.entries()) {
        const differences = frames.map((frame) => {
          let sum = 0
          for (let y = 0; y < size.height; y += 7) {
            for (let x = 0; x < wide; x += 7) {
              const at = 3 * (y * wide + x)
              const [r] = pixel(left + x, (tops[row] ?? 0) + y)
              sum += Math.abs(r - (frame[at] ?? 0))
            }
          }
          return sum
        })
        assert.equal(differences[dip * EVERY], 0, `frame ${dip * EVERY} of ${path}`)
        assert.equal(differences.filter((sum) => sum === 0).length, 1, 'only that frame is it')
      }
    }
  })
})
