import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { EncoderShelf } from '#src/engines/compress/choose-encoder.js'
import { CODECS } from '#src/engines/types.js'
import { tempFolder } from '../../support/clips.js'

const signal = new AbortController().signal

/** The real ffmpeg, with NVENC listed whatever its build; a trial of it ends with `status`. */
async function withNvenc(t: TestContext, status: number) {
  const folder = await tempFolder(t)
  const ffmpegPath = join(folder, 'nvenc-ffmpeg')
  const script = `#!/bin/sh
case "$*" in
*_nvenc*) exit ${status} ;;
*-encoders*) ffmpeg "$@" && echo ' V....D h264_nvenc           NVIDIA NVENC H.264 encoder' ;;
*) exec ffmpeg "$@" ;;
esac
`
  await writeFile(ffmpegPath, script, { mode: 0o755 })
  return new EncoderShelf({ ffmpegPath, sandbox: 'off' })
}

test('takes NVENC where it is wanted and a trial encode works', async (t) => {
  const shelf = await withNvenc(t, 0)
  assert.equal((await shelf.pick('h264', true, signal)).name, 'h264_nvenc')
  assert.equal((await shelf.pick('h264', false, signal)).name, 'libx264')
})

test('NVENC that is built in but finds no GPU is left alone', async (t) => {
  const shelf = await withNvenc(t, 1)
  assert.equal((await shelf.pick('h264', true, signal)).name, 'libx264')
})

test('each codec has an encoder here, and one that none can encode is refused', async (t) => {
  const shelf = new EncoderShelf({})
  for (const codec of CODECS) assert.equal((await shelf.pick(codec, false, signal)).codec, codec)
  const ffmpegPath = join(await tempFolder(t), 'bare-ffmpeg')
  await writeFile(ffmpegPath, '#!/bin/sh\nffmpeg "$@" | grep -v 265\n', { mode: 0o755 })
  const bare = new EncoderShelf({ ffmpegPath, sandbox: 'off' })
  await assert.rejects(bare.pick('hevc', false, signal), { code: 'ENGINE_ENCODER_MISSING' })
})
