import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { CompressEngine } from '#src/engines/compress/compress-engine.js'
import type { Effort } from '#src/engines/compress/encoders.js'
import { pool, type QualityMeter } from '#src/engines/compress/meter.js'
import { CODECS, type CompressParams } from '#src/engines/types.js'
import { probeVideo } from '#src/media/index.js'
import { makeClip, soundChecksum, tempFolder } from '../../support/clips.js'
import { PsnrMeter } from '../../support/psnr-meter.js'

const signal = new AbortController().signal
const FIXTURES = new URL('../../../../test/fixtures/media/', import.meta.url)
const clip = (name: string) => new URL(name, FIXTURES).pathname

async function compress(t: TestContext, path: string, params: Partial<CompressParams>) {
  const meter = new PsnrMeter()
  const engine = new CompressEngine({ meter })
  const workDir = await tempFolder(t)
  const result = await engine.run(
    { path, params: { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick', ...params } },
    { workDir, signal },
  )
  return { result, meter }
}

for (const codec of CODECS) {
  test(`${codec}: meets the threshold closely, keeping frames and sound`, async (t) => {
    const folder = await tempFolder(t)
    const path = await makeClip(join(folder, 'in.mp4'), {
      frames: 30,
      size: '160x120',
      soundSeconds: 1.2,
    })
    const { result, meter } = await compress(t, path, { codec })
    assert.ok(result.metThreshold)
    assert.ok(result.quality !== undefined && result.quality >= 60)
    assert.ok(result.quality < 68, `quality ${result.quality}`)
    const { video } = await probeVideo(result.path, { countDecoded: true })
    assert.equal(video.frames, 30)
    assert.equal(video.codec, codec)
    assert.equal(video.pixelFormat, 'yuv420p')
    assert.equal(await soundChecksum(result.path), await soundChecksum(path))
    assert.equal(new Set(meter.calls).size, meter.calls.length, 'nothing is measured twice')
    assert.ok(result.encodes <= 6)
  })
}

test('the same clip again takes one encode, and another threshold begins where it was left', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 30, size: '160x120' })
  const engine = new CompressEngine({ meter: new PsnrMeter() })
  const run = async (vmafThreshold: number) => {
    const params = { vmafThreshold, codec: 'h264', mode: 'CRF', effort: 'quick' } as const
    return engine.run({ path, params }, { workDir: await tempFolder(t), signal })
  }
  const first = await run(60)
  const again = await run(60)
  assert.deepEqual([again.encodes, again.sizeBytes], [1, first.sizeBytes])
  for (const threshold of [62, 50]) {
    const { metThreshold, encodes, quality = 0 } = await run(threshold)
    assert.ok(metThreshold && encodes <= 4, `${threshold}: ${encodes} encodes`)
    assert.ok(quality < threshold + 3, `${threshold}: ${quality} is another threshold's answer`)
  }
})

test('tries as hard as its own setting says where a task says nothing', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 30, size: '160x120' })
  const sizeOf = async (own: Effort | undefined, asked: Effort | undefined) => {
    const engine = new CompressEngine({ meter: new PsnrMeter(), effort: own })
    const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF' } as const
    const result = await engine.run(
      { path, params: asked === undefined ? params : { ...params, effort: asked } },
      { workDir: await tempFolder(t), signal },
    )
    return result.sizeBytes
  }
  const quick = await sizeOf(undefined, 'quick')
  const normal = await sizeOf(undefined, 'normal')
  assert.notEqual(quick, normal)
  assert.equal(await sizeOf('quick', undefined), quick)
  assert.equal(await sizeOf('quick', 'normal'), normal)
})

test('with time to spare one usual encode leads to the thorough encoder', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 30, size: '160x120' })
  const budgetMs = 3_600_000
  const usual = await compress(t, path, { effort: 'normal' })
  const engine = new CompressEngine({ meter: usual.meter })
  const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', budgetMs } as const
  const workDir = await tempFolder(t)
  const result = await engine.run({ path, params }, { workDir, signal })
  assert.ok(result.metThreshold)
  assert.ok(result.encodes <= 5, `${result.encodes} encodes`)
  assert.ok(result.sizeBytes < usual.result.sizeBytes, 'the thorough encoder saves bytes')
  const tried = usual.meter.calls.filter((call) => call.includes('thorough'))
  assert.ok(tried.length > 0 && tried.length < usual.meter.calls.length)
})

test('an encode that would eat the time is left for a quick one: there is always an answer', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 30, size: '160x120' })
  const ffmpegPath = join(folder, 'stuck-at-medium')
  const script =
    '#!/bin/sh\ncase "$*" in *"-preset medium"*) exec sleep 600;; esac\nexec ffmpeg "$@"\n'
  await writeFile(ffmpegPath, script, { mode: 0o755 })
  const engine = new CompressEngine({
    meter: new PsnrMeter(),
    tools: { ffmpegPath, sandbox: 'off' },
  })
  const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', budgetMs: 6_000 } as const
  const workDir = await tempFolder(t)
  const { frames, quality } = await engine.run({ path, params }, { workDir, signal })
  assert.equal(frames, 30)
  assert.ok(quality === undefined || quality > 0)
})

for (const codec of CODECS) {
  test(`${codec}, VBR: meets what the cap allows, and stays below it where the threshold asks for more`, async (t) => {
    const path = await makeClip(join(await tempFolder(t), 'in.mp4'), {
      frames: 50,
      size: '160x120',
    })
    const run = async (targetBitrateKbps: number, vmafThreshold: number) => {
      const asked = { codec, mode: 'VBR', targetBitrateKbps, vmafThreshold } as const
      const { result } = await compress(t, path, asked)
      const { video } = await probeVideo(result.path)
      const seconds = (video.frames * video.fps.den) / video.fps.num
      return { ...result, kbps: (result.sizeBytes * 8) / 1000 / seconds }
    }
    const roomy = await run(5_000, 60)
    assert.ok(roomy.metThreshold && roomy.kbps < 5_000)
    const tight = await run(roomy.kbps / 2, 60)
    assert.ok(tight.kbps <= 1.1 * (roomy.kbps / 2), `${tight.kbps} of ${roomy.kbps / 2} kbit/s`)
    assert.equal(tight.metThreshold, false)
    assert.ok(tight.encodes <= 6, `${tight.encodes} encodes for what cannot be met`)
  })
}

test('looks at a part of the frames first; what it delivers was measured whole by both models', async (t) => {
  const path = await makeClip(join(await tempFolder(t), 'in.mp4'), { frames: 30, size: '160x120' })
  const { result, meter } = await compress(t, path, {})
  assert.match(meter.calls[0] ?? '', /every 3 neg$/)
  const delivered = meter.calls.filter((call) => call.includes(`-${result.crf}.mp4 every 1`))
  const models = delivered.flatMap((call) => call.split(' ').at(-1)?.split(',') ?? [])
  assert.deepEqual(models.sort(), ['base', 'neg'])
  assert.ok(result.vmaf !== undefined && result.vmafNeg !== undefined)
})

test('goes lower when the whole is worse than the part of it that was looked at', async (t) => {
  const path = await makeClip(join(await tempFolder(t), 'in.mp4'), { frames: 30, size: '160x120' })
  const psnr = new PsnrMeter()
  const FLATTERY = 8
  const meter: QualityMeter = {
    name: 'flattering',
    measure: async (reference, distorted, options) => {
      const quality = await psnr.measure(reference, distorted, options)
      if (options.every === 1) return quality
      return { ...quality, neg: quality.neg?.map((x) => x + FLATTERY) ?? [] }
    },
  }
  const params = { vmafThreshold: 60, codec: 'h264', mode: 'CRF', effort: 'quick' } as const
  const workDir = await tempFolder(t)
  const result = await new CompressEngine({ meter }).run({ path, params }, { workDir, signal })
  const models = ['neg'] as const
  const { neg = [] } = await psnr.measure(path, result.path, { every: 1, models, signal })
  const whole = pool(neg, 'harmonic')
  assert.ok(result.metThreshold && whole >= 60 && whole < 64, `${whole}`)
})

test('gives its best and says so when no CRF reaches the threshold', async (t) => {
  const { result } = await compress(t, clip('texturepan.crf23.mp4'), { vmafThreshold: 99 })
  assert.equal(result.metThreshold, false)
  assert.equal(result.crf, 8)
})

test('answers when the time is over after the first probe', async (t) => {
  const { result } = await compress(t, clip('launch.ref.mp4'), { budgetMs: 1 })
  assert.equal(result.encodes, 1)
  assert.equal(result.frames, 36)
})

test('refuses sizes that 4:2:0 cannot hold', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), {
    frames: 3,
    video: ['-vf', 'format=yuv444p,scale=65:65', '-pix_fmt', 'yuv444p'],
  })
  await assert.rejects(compress(t, path, {}), { code: 'ENGINE_INPUT_UNSUPPORTED' })
})
