import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { EncoderShelf } from '#src/engines/compress/choose-encoder.js'
import { Lab } from '#src/engines/compress/lab.js'
import { pool } from '#src/engines/compress/meter.js'
import { Splicer } from '#src/engines/compress/splice.js'
import { SystemClock } from '#src/lib/clock.js'
import { must } from '#src/lib/errors.js'
import { probeVideo } from '#src/media/index.js'
import { ffmpeg, frameTimes, tempFolder } from '../../support/clips.js'
import { PsnrMeter } from '../../support/psnr-meter.js'

/** Frames of each scene: fewer get no key frame of their own. */
const SCENE = 30
const FIXTURES = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))
const signal = new AbortController().signal

/** Half of an animation, then half of a rocket's launch: x265 sees no cut between made-up pictures. */
async function twoClips(folder: string): Promise<string> {
  const path = join(folder, 'in.mp4')
  const fit = `trim=end_frame=${SCENE},scale=256:144,setsar=1,settb=1/25,setpts=N`
  await ffmpeg(
    ...['-i', join(FIXTURES, 'bbb480.ref.mp4'), '-i', join(FIXTURES, 'launch.ref.mp4')],
    ...['-lavfi', `[0:v]${fit}[a];[1:v]${fit}[b];[a][b]concat,fps=25`],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', path],
  )
  return path
}

async function labOf(workDir: string, codec: 'h264' | 'hevc' = 'h264') {
  const path = await twoClips(workDir)
  const { video } = await probeVideo(path)
  const encoder = await new EncoderShelf({}).pick(codec, false, signal)
  return new Lab({
    source: { path, frames: video.frames, video },
    encoder,
    settings: { effort: 'quick' },
    meter: new PsnrMeter(),
    objective: { pool: 'mean', model: 'neg' },
    tools: {},
    workDir,
    signal,
    label: 'whole',
    clock: new SystemClock(),
  })
}

for (const codec of ['h264', 'hevc'] as const) {
  test(`${codec}: two encodes give a third between them, without a seam`, async (t) => {
    const workDir = await tempFolder(t)
    const lab = await labOf(workDir, codec)
    await lab.complete(18)
    await lab.complete(30)
    const [fine, coarse] = lab.candidates.map((candidate) => ({
      candidate,
      frames: candidate.measured.get(1)?.neg ?? [],
    }))
    const [good, bad] = [must(fine, 'fine'), must(coarse, 'coarse')]
    // What the first scene of the one and the second of the other give together.
    const mixed = [...bad.frames.slice(0, SCENE), ...good.frames.slice(SCENE)]
    const target = pool(mixed, 'mean') - 0.01
    const splicer = new Splicer(lab, target)
    assert.equal(await splicer.isClose(Number.POSITIVE_INFINITY), true)
    const { candidate, parts } = must(await splicer.beat(good.candidate), 'a spliced file')
    assert.equal(parts, 2)
    assert.ok(candidate.sizeBytes < good.candidate.sizeBytes)
    const measured = candidate.measured.get(1)?.neg ?? []
    assert.ok(pool(measured, 'mean') >= target)
    for (const [i, quality] of measured.entries()) {
      const made = [bad.frames[i], good.frames[i]]
      assert.ok(made.includes(quality), `frame ${i} is that of one of the encodes`)
    }
    const ticks = await frameTimes(candidate.path)
    assert.equal(ticks.length, 2 * SCENE)
    assert.deepEqual(
      ticks,
      ticks.map((_, i) => i * must(ticks[1], 'second frame')),
    )
  })
}

test('encodes that cannot reach the target together are left alone', async (t) => {
  const workDir = await tempFolder(t)
  const lab = await labOf(workDir)
  await lab.complete(18)
  await lab.complete(30)
  const splicer = new Splicer(lab, 100.5)
  assert.equal(await splicer.isClose(Number.POSITIVE_INFINITY), false)
  assert.equal(await splicer.beat(must(lab.candidates[0], 'an encode')), undefined)
})
