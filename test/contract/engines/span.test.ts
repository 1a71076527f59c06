import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { setMp4Rotation } from '#src/engines/mp4-rotation.js'
import { SpanEngine } from '#src/engines/upscale/span-engine.js'
import { probeVideo } from '#src/media/index.js'
import { ffmpeg, makeClip, pixels, soundChecksum, tempFolder } from '../../support/clips.js'

const signal = new AbortController().signal
const engine = new SpanEngine()
const launch = fileURLToPath(
  new URL('../../../../test/fixtures/media/launch.ref.mp4', import.meta.url),
)
test.after(() => engine.close())

for (const frames of [25, 51, 900]) {
  test(`a clip of ${frames} frames comes back with ${frames} frames and its sound untouched`, async (t) => {
    const folder = await tempFolder(t)
    const size = frames > 100 ? '16x16' : '64x48'
    const path = await makeClip(join(folder, 'in.mp4'), { frames, size, soundSeconds: frames / 25 })
    const seen: number[] = []
    const result = await engine.run(
      { path, params: { scale: 2, codec: 'h264' } },
      { workDir: folder, signal, onProgress: (fraction) => seen.push(fraction) },
    )
    assert.equal(result.frames, frames)
    const { video } = await probeVideo(result.path, { countDecoded: true })
    assert.equal(video.frames, frames)
    assert.equal(await soundChecksum(result.path), await soundChecksum(path))
    assert.equal(seen.length, frames)
    assert.equal(seen.at(-1), 1)
  })
}

test('keeps rotation, frame rate, aspect and colour tags, and the colours themselves', async (t) => {
  const folder = await tempFolder(t)
  const path = join(folder, 'in.mp4')
  await makeClip(path, {
    frames: 6,
    fps: '30000/1001',
    source: 'color=c=0x3080c0',
    video: [
      ...['-vf', 'scale=out_color_matrix=bt709,setsar=4/3'],
      ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    ],
  })
  await setMp4Rotation(path, 90)
  const { video: before } = await probeVideo(path)
  const { path: out } = await engine.run(
    { path, params: { scale: 4, codec: 'hevc' } },
    { workDir: folder, signal },
  )
  const { video: after } = await probeVideo(out)
  assert.deepEqual(
    { ...after, codec: '', profile: '', width: 0, height: 0, bitrateKbps: 0 },
    { ...before, codec: '', profile: '', width: 0, height: 0, bitrateKbps: 0 },
  )
  assert.equal(before.rotation, 90)
  assert.deepEqual([after.codec, after.width, after.height], ['hevc', 256, 192])
  const [a, b] = [await pixels(path, 1, 'yuv444p'), await pixels(out, 1, 'yuv444p')]
  for (const plane of [0, 1, 2]) {
    const was = a[plane * 64 * 48 + 24 * 64 + 32] ?? 0
    const is = b[plane * 256 * 192 + 96 * 256 + 128] ?? 0
    assert.ok(Math.abs(was - is) <= 2, `plane ${plane} went from ${was} to ${is}`)
  }
})

test('a real picture keeps its brightness to a fifth of a level', async (t) => {
  const folder = await tempFolder(t)
  const path = join(folder, 'in.mp4')
  const picture = ['-frames:v', '2', '-vf', 'crop=160:96', '-c:v', 'libx264', '-qp', '0']
  await ffmpeg('-i', launch, ...picture, path)
  const { path: out } = await engine.run(
    { path, params: { scale: 2, codec: 'h264' } },
    { workDir: folder, signal },
  )
  const [was, is] = [await pixels(path, 2, 'gray'), await pixels(out, 2, 'gray')]
  const mean = (values: Buffer) => values.reduce((sum, value) => sum + value, 0) / values.length
  assert.ok(Math.abs(mean(is) - mean(was)) < 0.2, `mean luma from ${mean(was)} to ${mean(is)}`)
})

test('marks a turn the way ffprobe reads it', async (t) => {
  const folder = await tempFolder(t)
  for (const degrees of [0, 90, 180, 270]) {
    const path = await makeClip(join(folder, `${degrees}.mp4`), { frames: 2, soundSeconds: 1 })
    await setMp4Rotation(path, degrees)
    const { video } = await probeVideo(path)
    assert.equal(video.rotation, degrees, `${degrees} degrees`)
  }
})

test('a result above the accepted size is refused with its size', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 3, source: 'mandelbrot' })
  const run = engine.run(
    { path, params: { scale: 2, codec: 'h264', maxSizeBytes: 500 } },
    { workDir: folder, signal },
  )
  await assert.rejects(run, { code: 'ENGINE_RESULT_TOO_LARGE' })
})

test('an abort ends the work with the signal, leaving only the input and a part of the result', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 200 })
  const controller = new AbortController()
  const run = engine.run(
    { path, params: { scale: 2, codec: 'h264' } },
    {
      workDir: folder,
      signal: controller.signal,
      onProgress: (fraction) => {
        if (fraction > 0.05) controller.abort()
      },
    },
  )
  await assert.rejects(run, { name: 'AbortError' })
  assert.deepEqual(
    (await readdir(folder)).filter((name) => !name.startsWith('upscaled')),
    ['in.mp4'],
  )
})

test('becomes ready by running the model once', async () => {
  await engine.ready(signal)
})
