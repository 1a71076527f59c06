import assert from 'node:assert/strict'
import test from 'node:test'
import { type FrameFacts, findShots, frameFacts } from '#src/engines/compress/analyse.js'
import { chunkRanges, sampleWindows } from '#src/engines/compress/pieces.js'

const still: FrameFacts = { detail: 2, contrast: 10, motion: 2, histogramChange: 0.01 }
const clip = (changes: Readonly<Record<number, Partial<FrameFacts>>>, length = 60) =>
  Array.from({ length }, (_, i) => ({ ...still, ...changes[i] }))
const starts = (facts: readonly FrameFacts[]) => findShots(facts).map((shot) => shot.start)

test('finds a cut where pixels and histogram change at once', () => {
  const facts = clip({
    20: { motion: 40, histogramChange: 0.4 },
    45: { motion: 25, histogramChange: 0.2 },
  })
  assert.deepEqual(starts(facts), [0, 20, 45])
  assert.equal(findShots(facts).at(-1)?.end, 60)
})

test('finds a clear cut in lively footage', () => {
  const facts = clip({ 20: { motion: 60, histogramChange: 0.4 } }).map((frame, i) =>
    i === 20 ? frame : { ...frame, motion: 30 },
  )
  assert.deepEqual(starts(facts), [0, 20])
})

test('takes neither a pan nor a flicker of brightness nor a fade for a cut', () => {
  assert.deepEqual(starts(clip({}).map((frame) => ({ ...frame, motion: 33 }))), [0])
  assert.deepEqual(starts(clip({ 20: { histogramChange: 0.5 } })), [0])
  const fade = clip({}).map((frame) => ({ ...frame, motion: 8, histogramChange: 0.15 }))
  assert.deepEqual(starts(fade), [0])
})

test('makes no shot of less than eight frames', () => {
  const cut = { motion: 60, histogramChange: 0.5 }
  assert.deepEqual(starts(clip({ 3: cut, 20: cut, 24: cut, 57: cut })), [0, 20])
})

test('facts: a flat frame has no detail, a change shows as motion', () => {
  const flat = new Uint8Array(64 * 16).fill(100)
  const brighter = new Uint8Array(64 * 16).fill(140)
  const [a, b] = [new Uint32Array(32), new Uint32Array(32)]
  const first = frameFacts(flat, 64, 16, undefined, a, undefined)
  assert.deepEqual(first, { detail: 0, contrast: 0, motion: 0, histogramChange: 0 })
  const second = frameFacts(brighter, 64, 16, flat, b, a)
  assert.equal(second.motion, 40)
  assert.equal(second.histogramChange, 1)
})

test('samples are spread evenly and lie inside the clip', () => {
  const windows = sampleWindows(1000, 8, 40)
  assert.equal(windows.length, 8)
  for (const [i, { start, end }] of windows.entries()) {
    assert.equal(end - start, 40)
    assert.ok(start >= (windows[i - 1]?.end ?? 0) && end <= 1000, `window ${i}`)
  }
  assert.deepEqual(sampleWindows(100, 8, 40), [{ start: 0, end: 100 }])
})

test('chunks begin at shots and cover every frame once', () => {
  const shots = [0, 100, 250, 400, 900].map((start, i, all) => ({ start, end: all[i + 1] ?? 1000 }))
  assert.deepEqual(chunkRanges(shots, 300), [
    { start: 0, end: 400 },
    { start: 400, end: 900 },
    { start: 900, end: 1000 },
  ])
  assert.deepEqual(chunkRanges([{ start: 0, end: 5000 }], 300), [{ start: 0, end: 5000 }])
})
