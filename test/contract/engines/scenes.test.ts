import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { CompressEngine } from '#src/engines/compress/compress-engine.js'
import { ENCODERS } from '#src/engines/compress/encoders.js'
import { pool } from '#src/engines/compress/meter.js'
import { encodeInChunks } from '#src/engines/compress/pieces.js'
import { must } from '#src/lib/errors.js'
import { probeVideo } from '#src/media/index.js'
import { ffmpeg, makeClip, soundChecksum, tempFolder } from '../../support/clips.js'
import { PsnrMeter } from '../../support/psnr-meter.js'

const signal = new AbortController().signal
const meter = new PsnrMeter()
const engine = new CompressEngine({ meter })

/** A clip of two scenes, one flat and one busy, with a cut at frame 12 of 24, and sound. */
async function twoScenes(folder: string): Promise<string> {
  const path = join(folder, 'in.mp4')
  await ffmpeg(
    ...['-f', 'lavfi', '-i', 'color=c=0x203040:size=160x96:rate=25:duration=0.48'],
    ...['-f', 'lavfi', '-i', 'mandelbrot=size=160x96:rate=25'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:duration=0.96'],
    ...['-filter_complex', '[0:v]noise=alls=6:allf=t[a];[a][1:v]concat[v]'],
    ...['-map', '[v]', '-map', '2:a', '-frames:v', '24', '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '8', '-c:a', 'aac', path],
  )
  return path
}

/** Presentation times of all frames in time base ticks, as a decoder gives them. */
async function times(path: string): Promise<readonly number[]> {
  const listing = await ffmpeg('-i', path, '-map', '0:v', '-f', 'framecrc', '-')
  return listing
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => Number(line.split(',')[2]))
}

for (const codec of ['h264', 'hevc', 'av1'] as const) {
  test(`${codec}: each scene meets the threshold, and the joined file has no seam`, async (t) => {
    const folder = await tempFolder(t)
    const path = await twoScenes(folder)
    const result = await engine.run(
      {
        path,
        params: { vmafThreshold: 60, codec, mode: 'CRF', goal: 'worst-scene', effort: 'quick' },
      },
      { workDir: folder, signal },
    )
    assert.equal(result.scenes, 2)
    assert.equal(result.crf, undefined)
    assert.ok(result.metThreshold)
    const { neg = [] } = await meter.measure(path, result.path, {
      every: 1,
      models: ['neg'],
      signal,
    })
    assert.equal(neg.length, 24)
    for (const scene of [neg.slice(0, 12), neg.slice(12)]) {
      const quality = pool(scene, 'harmonic')
      assert.ok(quality >= 60, `a scene has ${quality}`)
    }
    const ticks = await times(result.path)
    assert.deepEqual(
      ticks,
      ticks.map((_, i) => i * must(ticks[1], 'second frame')),
      'frames are evenly timed across the cut',
    )
    assert.equal(await soundChecksum(result.path), await soundChecksum(path))
  })
}

test('chunks encoded side by side give every frame once, in order', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 45, size: '96x64' })
  const { video } = await probeVideo(path)
  const encoder = must(
    ENCODERS.find(({ name }) => name === 'libx264'),
    'x264',
  )
  const output = join(folder, 'out.mp4')
  const ranges = [
    { start: 0, end: 17 },
    { start: 17, end: 33 },
    { start: 33, end: 45 },
  ]
  await encodeInChunks(
    { path, frames: 45, video },
    ranges,
    output,
    encoder,
    { crf: 16, effort: 'quick' },
    { workDir: folder, parallel: 2, signal },
  )
  const { neg = [] } = await meter.measure(path, output, { every: 1, models: ['neg'], signal })
  assert.equal(neg.length, 45)
  assert.ok(
    neg.every((quality) => quality > 40),
    'a frame in the wrong place would differ more',
  )
  assert.equal((await times(output)).length, 45)
})

test('a long clip is tried on a sample before the whole', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), {
    frames: 330,
    fps: '10',
    size: '64x64',
    source: 'mandelbrot',
  })
  const result = await engine.run(
    { path, params: { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick' } },
    { workDir: folder, signal },
  )
  assert.ok(result.metThreshold)
  assert.equal(result.frames, 330)
  assert.ok(result.encodes % 1 !== 0, `${result.encodes} encodes: samples count by their share`)
  assert.ok(result.encodes < 6, `${result.encodes} encodes`)
})
