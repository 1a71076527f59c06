import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setMp4Rotation } from '#src/engines/mp4-rotation.js'
import { Video2xEngine } from '#src/engines/upscale/video2x.js'
import { probeVideo } from '#src/media/index.js'
import { makeClip, pixels, soundChecksum, tempFolder } from '../../support/clips.js'
import { installFakeVideo2x } from '../../support/fake-video2x.js'

const signal = new AbortController().signal

async function engineWith(t: TestContext, env: Record<string, string> = {}) {
  const folder = await tempFolder(t)
  const engine = new Video2xEngine({ path: await installFakeVideo2x(folder), env, device: 0 })
  return { engine, folder }
}

for (const [lost, frames] of [
  ['0', 25],
  ['2', 51],
  ['3', 25],
  ['2', 900],
] as const) {
  test(`a build that loses ${lost} frames of ${frames} still gives every frame and the sound`, async (t) => {
    const { engine, folder } = await engineWith(t, { FAKE_LOST: lost })
    await engine.ready(signal)
    const path = await makeClip(join(folder, 'in.mp4'), { frames, soundSeconds: 1 })
    const seen: number[] = []
    const result = await engine.run(
      { path, params: { scale: 2, codec: 'h264' } },
      { workDir: folder, signal, onProgress: (fraction) => seen.push(fraction) },
    )
    const { video } = await probeVideo(result.path, { countDecoded: true })
    assert.deepEqual([video.frames, video.width, video.height], [frames, 128, 96])
    assert.equal(await soundChecksum(result.path), await soundChecksum(path))
    assert.ok(seen.length > 3 && seen.every((fraction) => fraction >= 0 && fraction <= 1))
  })
}

test('the last frame is the last of the source, not a copy of the one before', async (t) => {
  const { engine, folder } = await engineWith(t)
  await engine.ready(signal)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 8 })
  const { path: out } = await engine.run(
    { path, params: { scale: 2, codec: 'h264' } },
    { workDir: folder, signal },
  )
  const size = 128 * 96
  const gray = await pixels(out, 8, 'gray')
  const change = (a: number, b: number) => {
    let sum = 0
    for (let i = 0; i < size; i += 1) {
      sum += Math.abs((gray[a * size + i] ?? 0) - (gray[b * size + i] ?? 0))
    }
    return sum / size
  }
  assert.ok(change(6, 7) > 0.5 * change(5, 6), 'the picture stands still at the end')
})

test('keeps rotation, frame rate, aspect and colour tags', async (t) => {
  const { engine, folder } = await engineWith(t)
  await engine.ready(signal)
  const path = join(folder, 'in.mp4')
  await makeClip(path, {
    frames: 9,
    fps: '30000/1001',
    soundSeconds: 1,
    video: [
      ...['-vf', 'setsar=4/3'],
      ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'],
    ],
  })
  await setMp4Rotation(path, 90)
  const { video: before } = await probeVideo(path)
  const { path: out } = await engine.run(
    { path, params: { scale: 2, codec: 'h264' } },
    { workDir: folder, signal },
  )
  const { video: after } = await probeVideo(out)
  const shown = ({ rotation, fps, frames, sampleAspectRatio, ...video }: typeof after) => ({
    ...{ rotation, fps, frames, sampleAspectRatio },
    color: [video.colorSpace, video.colorPrimaries, video.colorTransfer, video.colorRange],
  })
  assert.deepEqual(shown(after), shown(before))
  assert.equal(before.rotation, 90)
})

test('without a trial at start the loss is learned from the first job', async (t) => {
  const { engine, folder } = await engineWith(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 10 })
  const { frames } = await engine.run(
    { path, params: { scale: 4, codec: 'h264' } },
    { workDir: folder, signal },
  )
  assert.equal(frames, 10)
})

test('a failure carries the exit code and the last words', async (t) => {
  const { engine, folder } = await engineWith(t, { FAKE_FAIL: '1' })
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 4 })
  const run = engine.run({ path, params: { scale: 2 } }, { workDir: folder, signal })
  await assert.rejects(run, (error: Error & { data: { code: string; exitCode: number } }) => {
    assert.equal(error.data.code, 'ENGINE_FAILED')
    assert.equal(error.data.exitCode, 1)
    assert.match(error.message, /vkAllocateMemory/)
    return true
  })
})

test('says that Video2X is not there', async () => {
  const engine = new Video2xEngine({ path: '/nowhere/video2x' })
  await assert.rejects(engine.ready(signal), { code: 'ENGINE_UNAVAILABLE' })
})
