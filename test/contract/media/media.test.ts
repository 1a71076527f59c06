import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  cutClip,
  decodedFrameCount,
  FrameReader,
  ffmpegCapabilities,
  fileUrl,
  MediaError,
  makePoster,
  probe,
  readFrames,
  runFfmpeg,
  runProcess,
  sandboxTools,
  writeFrames,
} from '#src/media/index.js'

const clips = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))
const launch = join(clips, 'launch.ref.mp4')
let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subreel-media-'))
})
after(() => rm(folder, { recursive: true, force: true }))

const code = (wanted: string) => (error: unknown) => {
  assert.ok(error instanceof MediaError, String(error))
  assert.equal(error.code, wanted, error.message)
  return true
}

test('reports the facts of a clip', async () => {
  const info = await probe(launch)
  assert.equal(info.container, 'mov,mp4,m4a,3gp,3g2,mj2')
  assert.equal(info.majorBrand, 'isom')
  assert.equal(info.durationSeconds, 1.5)
  assert.equal(info.audio, undefined)
  const { bitrateKbps, ...video } = info.video ?? {}
  assert.ok((bitrateKbps ?? 0) > 1000)
  assert.deepEqual(video, {
    codec: 'h264',
    profile: 'High',
    width: 640,
    height: 360,
    pixelFormat: 'yuv420p',
    bitDepth: 8,
    fps: { num: 24, den: 1 },
    evenlySpaced: true,
    frames: 36,
    sampleAspectRatio: '1:1',
    rotation: 0,
    colorSpace: 'bt470bg',
    colorTransfer: undefined,
    colorPrimaries: undefined,
    colorRange: 'tv',
  })
})

test('refuses what is not a media file before any demuxer sees it', async () => {
  const files: readonly (readonly [string, string, string])[] = [
    ['empty.mp4', '', 'MEDIA_EMPTY'],
    ['playlist.mp4', '#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n', 'MEDIA_FORMAT_REFUSED'],
    ['page.mp4', '<html>', 'MEDIA_FORMAT_REFUSED'],
    ['concat.mp4', "ffconcat version 1.0\nfile '/etc/passwd'\n", 'MEDIA_FORMAT_REFUSED'],
    ['broken.mp4', '\0\0\0\x20ftypisom and nothing else', 'MEDIA_UNREADABLE'],
  ]
  for (const [name, content, wanted] of files) {
    const path = join(folder, name)
    await writeFile(path, content, 'latin1')
    await assert.rejects(probe(path), code(wanted), name)
  }
  await assert.rejects(probe(join(folder, 'absent.mp4')), code('MEDIA_NOT_FOUND'))
  await assert.rejects(probe(folder), code('MEDIA_NOT_FOUND'))
})

test('reads a file whose name looks like options and patterns', async () => {
  const path = join(folder, '-i;%03d $(x)\n.mp4')
  await writeFile(path, await readFile(launch))
  assert.equal((await probe(path)).video?.frames, 36)
  assert.equal(await decodedFrameCount(path), 36)
})

test('stops at pictures larger than the cap', async () => {
  const path = join(folder, 'giant.mp4')
  const source = 'color=black:s=7000x6000:r=1:d=1'
  await runFfmpeg(
    ['-f', 'lavfi', '-i', source, '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', fileUrl(path)],
    { timeoutMs: 60_000 },
  )
  await assert.rejects(decodedFrameCount(path), code('MEDIA_UNREADABLE'))
})

test('counts decoded frames of a clip cut short, where the header promises more', async () => {
  const path = join(folder, 'short.mkv')
  await runFfmpeg(['-i', fileUrl(launch), '-c', 'copy', fileUrl(path)])
  const whole = await readFile(path)
  await writeFile(path, whole.subarray(0, Math.floor(whole.length * 0.6)))
  const frames = await decodedFrameCount(path)
  assert.ok(frames > 5 && frames < 36, `decoded ${frames}`)
})

test('delivers luma exactly as stored', async () => {
  const planes = (filter: string | undefined, pixelFormat: 'gray' | 'yuv420p') =>
    readFrames(launch, { pixelFormat, filter, maxFrames: 3 })
  const alone: Uint8Array[] = []
  for await (const frame of planes('extractplanes=y', 'gray')) alone.push(frame.data)
  let index = 0
  for await (const frame of planes(undefined, 'yuv420p')) {
    const luma = frame.data.subarray(0, 640 * 360)
    assert.deepEqual(Buffer.from(luma), Buffer.from(alone[index] ?? []), `frame ${index}`)
    index += 1
  }
  assert.equal(index, 3)
})

test('ends the decoder when the reader leaves early', async () => {
  const reader = await FrameReader.open(launch, { pixelFormat: 'rgb24' })
  assert.equal(await reader.readInto(new Uint8Array(reader.frameBytes)), true)
  await reader.close()
})

test('writes frames that read back the same through a lossless encoder', async () => {
  const path = join(folder, 'copy.mkv')
  await using writer = await writeFrames(path, {
    width: 640,
    height: 360,
    pixelFormat: 'yuv420p',
    fps: { num: 24000, den: 1001 },
    encoder: ['-c:v', 'ffv1', '-pix_fmt', 'yuv420p'],
  })
  const sent: Buffer[] = []
  for await (const frame of readFrames(launch, { pixelFormat: 'yuv420p', maxFrames: 4 })) {
    sent.push(Buffer.from(frame.data))
    await writer.write(frame.data)
  }
  await assert.rejects(writer.write(new Uint8Array(5)), code('MEDIA_FRAME_SIZE_WRONG'))
  await writer.end()
  const got: Buffer[] = []
  for await (const frame of readFrames(path, { pixelFormat: 'yuv420p' })) {
    got.push(Buffer.from(frame.data))
  }
  assert.deepEqual(got, sent)
  assert.deepEqual((await probe(path)).video?.fps, { num: 24000, den: 1001 })
})

test('reports an encoder that dies, in its own words', async () => {
  await using writer = await writeFrames(join(folder, 'never.mp4'), {
    width: 64,
    height: 64,
    pixelFormat: 'gray',
    fps: { num: 25, den: 1 },
    encoder: ['-c:v', 'no-such-encoder'],
  })
  const frame = new Uint8Array(64 * 64)
  const writing = async () => {
    for (let i = 0; i < 1000; i += 1) await writer.write(frame)
    await writer.end()
  }
  await assert.rejects(writing(), code('MEDIA_PROCESS_FAILED'))
})

test('reports progress of an encode', async () => {
  const seen: number[] = []
  await runFfmpeg(
    [
      '-i',
      fileUrl(launch),
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      fileUrl(join(folder, 'p.mp4')),
    ],
    { onProgress: (progress) => seen.push(progress.frame) },
  )
  assert.equal(seen.at(-1), 36)
})

test('kills a tool that ignores SIGTERM, and its children, after the deadline', async () => {
  const path = join(folder, 'stubborn')
  const pidFile = join(folder, 'child.pid')
  await writeFile(
    path,
    `#!/bin/sh\ntrap '' TERM\nsleep 600 & echo $! > ${pidFile}\nwhile :; do sleep 600; done\n`,
  )
  await chmod(path, 0o755)
  const started = performance.now()
  await assert.rejects(
    runProcess(path, [], { timeoutMs: 300, graceMs: 200 }),
    code('MEDIA_TIMEOUT'),
  )
  assert.ok(performance.now() - started < 5000)
  const pid = Number(await readFile(pidFile, 'utf8'))
  const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone Z')
  assert.match(state, /Z/, 'the child of the tool is dead')
})

test('rejects with the reason of the signal, and at once', async () => {
  const control = new AbortController()
  const running = runFfmpeg(['-re', '-f', 'lavfi', '-i', 'testsrc', '-f', 'null', '-'], {
    signal: control.signal,
  })
  control.abort()
  await assert.rejects(running, { name: 'AbortError' })
})

test('names a missing tool', async () => {
  await assert.rejects(
    runFfmpeg(['-version'], { ffmpegPath: '/nonexistent/ffmpeg', sandbox: 'off' }),
    code('MEDIA_TOOL_MISSING'),
  )
})

test('bounds what a tool may write', async () => {
  await assert.rejects(
    runProcess('head', ['-c', '2000000', '/dev/zero'], { maxStdoutBytes: 1000 }),
    code('MEDIA_OUTPUT_TOO_LARGE'),
  )
})

test('inside the sandbox only named files exist', async () => {
  const tools = await sandboxTools()
  const secret = join(folder, 'secret.txt')
  await writeFile(secret, 'x')
  const draw = `drawtext=textfile=${secret}:fontcolor=white`
  const run = runFfmpeg(['-i', fileUrl(launch), '-vf', draw, '-frames:v', '1', '-f', 'null', '-'])
  if (tools.bubblewrap) await assert.rejects(run, code('MEDIA_PROCESS_FAILED'))
  else await run
})

test('lists encoders and filters of the build', async () => {
  const found = await ffmpegCapabilities()
  assert.ok(found.encoders.has('libx264'), 'libx264')
  assert.ok(found.filters.has('scale'), 'scale')
  assert.ok(!found.filters.has('='), 'legend is no filter')
})

test('makes a poster and a cut of our own files', async () => {
  const poster = join(folder, 'poster.png')
  await makePoster(launch, poster, { width: 320 })
  assert.ok((await stat(poster)).size > 1000)
  const cut = join(folder, 'cut.mp4')
  await cutClip(launch, cut, { startSeconds: 0.5, seconds: 0.5 })
  assert.equal((await probe(cut)).video?.frames, 12)
})
