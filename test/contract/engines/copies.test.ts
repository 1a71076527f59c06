import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { analyse } from '#src/engines/compress/analyse.js'
import { CompressEngine } from '#src/engines/compress/compress-engine.js'
import { keepingOf, workingCopy } from '#src/engines/compress/copies.js'
import type { QualityMeter } from '#src/engines/compress/meter.js'
import { probeVideo } from '#src/media/index.js'
import { ffmpeg, makeClip, tempFolder } from '../../support/clips.js'
import { PsnrMeter } from '../../support/psnr-meter.js'

const signal = new AbortController().signal

/** Checksums of the decoded pictures, in order. */
async function pictures(path: string): Promise<readonly string[]> {
  const listing = await ffmpeg('-i', path, '-map', '0:v', '-f', 'framemd5', '-')
  return listing
    .split('\n')
    .filter((line) => /^\d/.test(line))
    .map((line) => line.split(',').at(-1)?.trim() ?? '')
}

async function copyOf(path: string, folder: string) {
  const { video } = await probeVideo(path)
  return workingCopy({ path, frames: video.frames, video }, folder)
}

test('a working copy holds the very pictures of the source, and tells the same of it', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 20, size: '96x64' })
  const copy = await copyOf(path, folder)
  assert.ok(copy !== undefined)
  const { video } = await probeVideo(path)
  const seen = await analyse(path, video, { signal, ...copy.output })
  assert.equal(seen.frames, 20)
  assert.deepEqual(await pictures(copy.path), await pictures(path))
  assert.deepEqual(await analyse(copy.path, video, { signal }), seen)
})

test('there is no copy where it would not be the same, and a large one is packed', async (t) => {
  const folder = await tempFolder(t)
  const deep = ['-pix_fmt', 'yuv420p10le', '-c:v', 'libx264']
  const full = ['-pix_fmt', 'yuvj420p', '-c:v', 'libx264']
  for (const [name, video] of Object.entries({ deep, full })) {
    const path = await makeClip(join(folder, `${name}.mp4`), { frames: 6, size: '96x64', video })
    assert.equal(await copyOf(path, folder), undefined, name)
  }
  const uneven = join(folder, 'uneven.mp4')
  const held = "setpts='if(lt(N,5),N,N+3)/25/TB'"
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=96x64:rate=25', '-frames:v', '10']
  const settings = ['-fps_mode', 'passthrough', '-c:v', 'libx264', '-pix_fmt', 'yuv420p']
  await ffmpeg(...source, '-vf', held, ...settings, uneven)
  assert.equal(await copyOf(uneven, folder), undefined, 'uneven')
  const { video } = await probeVideo(uneven)
  const kept = async (more: Partial<typeof video>, frames = 10) =>
    (await keepingOf({ ...video, ...more }, frames, folder)).extension
  assert.equal(await kept({}), 'avi')
  assert.equal(await kept({ width: 1920, height: 1080 }, 3_000), 'mp4', 'too large')
  assert.equal(await kept({ sampleAspectRatio: '4:3' }), 'mp4', 'oblong pixels')
})

test('a copy that the disk will not take is done without', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 20, size: '96x64' })
  const workDir = await tempFolder(t)
  // A folder where the copy would go: ffmpeg cannot write there.
  await mkdir(join(workDir, 'pictures.avi', 'full'), { recursive: true })
  const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick' } as const
  const engine = new CompressEngine({ meter: new PsnrMeter() })
  const { frames, metThreshold } = await engine.run({ path, params }, { workDir, signal })
  assert.deepEqual([frames, metThreshold], [20, true])
})

test('every measurement reads the one copy; a file without one is read itself', async (t) => {
  const folder = await tempFolder(t)
  const psnr = new PsnrMeter()
  for (const [pixels, decodes] of [
    ['yuv420p', false],
    ['yuvj420p', true],
  ] as const) {
    const video = ['-pix_fmt', pixels, '-c:v', 'libx264', '-crf', '8']
    const path = await makeClip(join(folder, `${pixels}.mp4`), { frames: 20, size: '96x64', video })
    const read = new Set<string>()
    const meter: QualityMeter = {
      name: 'psnr',
      measure: (reference, distorted, options) => {
        read.add(reference)
        return psnr.measure(reference, distorted, options)
      },
    }
    const workDir = await tempFolder(t)
    const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick' } as const
    await new CompressEngine({ meter }).run({ path, params }, { workDir, signal })
    assert.equal(read.size, 1)
    assert.equal(read.has(path), decodes, pixels)
  }
})
