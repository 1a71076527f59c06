import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { CompressEngine } from '#src/engines/compress/compress-engine.js'
import { ENCODERS } from '#src/engines/compress/encoders.js'
import { pool } from '#src/engines/compress/meter.js'
import { encodeInChunks } from '#src/engines/compress/pieces.js'
import { must } from '#src/lib/errors.js'
import { probeVideo } from '#src/media/index.js'
import { frameTimes, makeClip, soundChecksum, tempFolder, twoScenes } from '../../support/clips.js'
import { PsnrMeter } from '../../support/psnr-meter.js'

const signal = new AbortController().signal
const meter = new PsnrMeter()
const engine = new CompressEngine({ meter })

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
    const ticks = await frameTimes(result.path)
    assert.deepEqual(
      ticks,
      ticks.map((_, i) => i * must(ticks[1], 'second frame')),
      'frames are evenly timed across the cut',
    )
    assert.equal(await soundChecksum(result.path), await soundChecksum(path))
  })
}

test('with time to spare the thorough encoder makes every scene, and without any each is tried once', async (t) => {
  const folder = await tempFolder(t)
  const path = await twoScenes(folder)
  const run = async (budgetMs: number) => {
    const asked = new PsnrMeter()
    const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', goal: 'worst-scene' } as const
    const result = await new CompressEngine({ meter: asked }).run(
      { path, params: { ...params, budgetMs } },
      { workDir: await tempFolder(t), signal },
    )
    const tried = (effort: string) =>
      new Set(
        asked.calls.flatMap((call) => /scene-\d/.exec(call.includes(effort) ? call : '') ?? []),
      )
    return { result, thorough: tried('thorough').size, usual: tried('normal').size }
  }
  const rich = await run(3_600_000)
  assert.ok(rich.result.metThreshold)
  assert.deepEqual([rich.usual, rich.thorough], [2, 2])
  const poor = await run(1)
  assert.equal(poor.thorough, 0)
  assert.equal(poor.result.encodes, 1)
  assert.equal(poor.result.frames, 24)
})

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
  assert.equal((await frameTimes(output)).length, 45)
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

test('twenty minutes are encoded in chunks that begin at cuts', async (t) => {
  const folder = await tempFolder(t)
  // A frame a second, so that it is long without being much.
  const path = await twoScenes(folder, 620, 1)
  const log = join(folder, 'commands')
  const ffmpegPath = join(folder, 'told-ffmpeg')
  const script = `#!/bin/sh\necho "$*" >> '${log}'\nexec ffmpeg "$@"\n`
  await writeFile(ffmpegPath, script, { mode: 0o755 })
  const told = new CompressEngine({ meter, tools: { ffmpegPath, sandbox: 'off' } })
  const { frames, metThreshold } = await told.run(
    { path, params: { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick' } },
    { workDir: folder, signal },
  )
  assert.equal(frames, 1240)
  assert.ok(metThreshold)
  const chunks = (await readFile(log, 'utf8')).match(/-ss \d+\.\d+ .* -frames:v 620 .*\.1\.mp4$/m)
  assert.ok(chunks !== null, 'the second chunk is an encode of its own')
})
