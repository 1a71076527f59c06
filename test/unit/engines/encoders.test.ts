import assert from 'node:assert/strict'
import test from 'node:test'
import { EFFORTS, ENCODERS, type EncodeSettings } from '#src/engines/compress/encoders.js'

const argsOf = (name: string, settings: Partial<EncodeSettings>) =>
  ENCODERS.find((encoder) => encoder.name === name)?.args({
    ...{ crf: 27, effort: 'normal' },
    ...settings,
  }) ?? []

test('x264 is tuned for VMAF by what its preset leaves open, and gives colour what it had', () => {
  const plain = argsOf('libx264', {})
  const tuned = argsOf('libx264', { tuned: true })
  assert.deepEqual(tuned.slice(0, -1), plain.slice(0, -1), 'the same preset')
  assert.equal(plain.at(-1), 'stitchable=1')
  assert.match(tuned.at(-1) ?? '', /^stitchable=1:psy=0:.*chroma-qp-offset=-2/)
})

test('threads are given to the encoders that take a number of them', () => {
  const threads = 3
  assert.match(argsOf('libx264', { threads, tuned: true }).at(-1) ?? '', /:threads=3$/)
  assert.match(argsOf('libx265', { threads }).at(-1) ?? '', /:pools=3$/)
  assert.equal(argsOf('libsvtav1', { threads }).at(-1), 'lp=3')
  assert.equal(argsOf('libvpx-vp9', { threads }).at(-1), '3')
})

test('every encoder caps the rate when told to, and names a preset for each effort', () => {
  for (const { name } of ENCODERS) {
    const capped = argsOf(name, { capKbps: 900 })
    assert.ok(capped.includes('900k'), name)
    const efforts = EFFORTS.map((effort) => argsOf(name, { effort }).join(' '))
    assert.equal(new Set(efforts).size, EFFORTS.length, name)
  }
})
