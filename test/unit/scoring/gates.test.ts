import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MediaInfo, VideoStreamInfo } from '#src/media/types.js'
import { ContentComparison, measureReference } from '#src/scoring/gates/content.js'
import { type FileExpectation, fileGates } from '#src/scoring/gates/file.js'
import { measureTone, toneCells } from '#src/scoring/gates/tone.js'

const VIDEO: VideoStreamInfo = {
  codec: 'h264',
  profile: 'High',
  width: 1280,
  height: 720,
  pixelFormat: 'yuv420p',
  bitDepth: 8,
  fps: { num: 30, den: 1 },
  evenlySpaced: true,
  frames: 300,
  sampleAspectRatio: '1:1',
  rotation: 0,
  colorSpace: 'bt709',
  colorTransfer: 'bt709',
  colorPrimaries: 'bt709',
  colorRange: 'tv',
  bitrateKbps: 4000,
}
const clip = (video: Partial<VideoStreamInfo> = {}, rest: Partial<MediaInfo> = {}) => ({
  container: 'mov,mp4,m4a,3gp,3g2,mj2',
  majorBrand: 'isom',
  durationSeconds: 10,
  sizeBytes: 5_000_000,
  audio: undefined,
  ...rest,
  video: { ...VIDEO, ...video },
})
const REFERENCE = clip({}, { sizeBytes: 20_000_000 })
const EXPECT: FileExpectation = {
  codecs: ['h264'],
  width: 1280,
  height: 720,
  size: { kind: 'smaller', inputBytes: 20_000_000 },
  bitrate: { mode: 'VBR', targetMbps: 4 },
}
const closed = (result: MediaInfo, reference = REFERENCE, expect = EXPECT): string[] =>
  fileGates(reference, result, expect)
    .filter((gate) => !gate.passed)
    .map((gate) => gate.code)

describe('gates on the container', () => {
  it('let an honest file through', () => {
    assert.deepEqual(closed(clip()), [])
  })

  const untagged = { colorSpace: undefined, colorTransfer: undefined, colorPrimaries: undefined }
  const cases: readonly (readonly [string, MediaInfo])[] = [
    ['container', clip({}, { container: 'matroska,webm', majorBrand: undefined })],
    ['container', clip({}, { majorBrand: 'qt' })],
    ['container', clip({}, { majorBrand: '3gp4' })],
    ['codec', clip({ codec: 'hevc', profile: 'Main' })],
    ['profile', clip({ profile: 'High 4:2:2' })],
    ['pixel-format', clip({ pixelFormat: 'yuv422p' })],
    ['pixel-aspect', clip({ sampleAspectRatio: '4:3' })],
    ['rotation', clip({ rotation: 90 })],
    ['dimensions', clip({ width: 1278 })],
    ['frame-rate', clip({ fps: { num: 25, den: 1 } })],
    ['duration', clip({}, { durationSeconds: 9.5 })],
    ['colour-tags', clip({ colorPrimaries: 'bt2020' })],
    ['colour-tags', clip({ colorRange: 'pc' })],
    ['file-size', clip({}, { sizeBytes: 16_000_000 })],
    ['bitrate', clip({ bitrateKbps: 4401 })],
  ]
  for (const [code, result] of cases) {
    it(`closes ${code} alone for one wrong fact`, () => {
      assert.deepEqual(closed(result), [code])
    })
  }

  it('lets the pixels of a result be square or shaped as those of its reference', () => {
    const oblong = { sampleAspectRatio: '1280:1281' }
    const reference = clip(oblong, { sizeBytes: 20_000_000 })
    assert.deepEqual(closed(clip(oblong), reference), [])
    assert.deepEqual(closed(clip(), reference), [])
  })

  it('lets ordinary tags be left out, but not those of HDR', () => {
    assert.deepEqual(closed(clip(untagged)), [])
    const plain = clip(untagged, { sizeBytes: 20_000_000 })
    assert.deepEqual(closed(clip({ ...untagged, colorTransfer: 'smpte2084' }), plain), [
      'colour-tags',
    ])
    const hdr = clip({ colorTransfer: 'smpte2084' }, { sizeBytes: 20_000_000 })
    assert.deepEqual(closed(clip(untagged), hdr), ['colour-tags'])
  })

  it('asks an upscaled file to be at most eight times its input at 2×', () => {
    const expect: FileExpectation = {
      codecs: ['h264'],
      width: 1280,
      height: 720,
      size: { kind: 'multiple', inputBytes: 600_000, scale: 2 },
    }
    assert.deepEqual(closed(clip(), REFERENCE, expect), ['file-size'])
    assert.deepEqual(closed(clip({}, { sizeBytes: 4_800_000 }), REFERENCE, expect), [])
  })

  it('calls a file without video unreadable and looks no further', () => {
    const gates = fileGates(REFERENCE, { ...clip(), video: undefined }, EXPECT)
    assert.deepEqual(
      gates.map((gate) => gate.code),
      ['readable'],
    )
  })
})

describe('tone', () => {
  const grid = { columns: 40, rows: 20 }
  const cells = (luma: (i: number) => number) =>
    toneCells(
      Float64Array.from({ length: 800 }, (_, i) => luma(i)),
      new Float64Array(800).fill(120),
      new Float64Array(800).fill(140),
    )
  const ramp = (i: number): number => 30 + (i % 40) * 4

  it('is kept by a copy and by noise, and changed by contrast and by brightness', () => {
    const reference = cells(ramp)
    const noisy = cells((i) => ramp(i) + (i % 3) - 1)
    assert.equal(measureTone(reference, cells(ramp), grid).detected, false)
    assert.equal(measureTone(reference, noisy, grid).detected, false)
    const contrast = cells((i) => (ramp(i) - 110) * 1.05 + 110)
    assert.equal(measureTone(reference, contrast, grid).detected, true)
    assert.equal(
      measureTone(
        reference,
        cells((i) => ramp(i) + 4),
        grid,
      ).detected,
      true,
    )
  })

  it('is measured on a flat picture by its brightness alone', () => {
    const flat = cells(() => 90)
    const same = measureTone(
      flat,
      cells((i) => 90 + (i % 2)),
      grid,
    )
    assert.deepEqual([same.reliable, same.detected], [true, false])
    assert.equal(
      measureTone(
        flat,
        cells(() => 96),
        grid,
      ).detected,
      true,
    )
  })

  it('cannot be told between pictures that do not correspond', () => {
    const other = cells((i) => 30 + ((i * 7919) % 160))
    assert.equal(measureTone(cells(ramp), other, grid).reliable, false)
  })
})

describe('chroma', () => {
  const [width, height] = [64, 48]
  /** A picture that moves, whose chroma lies `saturation` from neutral on average. */
  const picture = (n: number, saturation: number) => ({
    width,
    height,
    y: Uint8Array.from({ length: width * height }, (_, i) => 60 + ((i * 7 + n * 5) % 120)),
    u: new Uint8Array((width * height) / 4).fill(128 + saturation),
    v: new Uint8Array((width * height) / 4).fill(128),
  })
  const chromaOf = (reference: (n: number) => number, result: (n: number) => number) => {
    const comparison = new ContentComparison()
    for (let n = 0; n < 20; n += 1)
      comparison.add(measureReference(picture(n, reference(n)), undefined), picture(n, result(n)))
    return comparison
      .gates({ reference: 20, result: 20 }, { allowFrozenTail: 0, sameCodec: true, toneFactor: 1 })
      .find(({ code }) => code === 'chroma')?.passed
  }

  it('may lose the noise of gray frames, but not the colour of coloured ones', () => {
    const grayThen = (colour: number) => (n: number) => (n < 12 ? 0 : colour)
    assert.equal(
      chromaOf((n) => (n < 12 ? 2 : 40), grayThen(40)),
      true,
    )
    assert.equal(
      chromaOf((n) => (n < 12 ? 2 : 40), grayThen(30)),
      false,
    )
  })
})
