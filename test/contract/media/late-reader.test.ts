import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { FrameReader } from '#src/media/index.js'
import { makeClip, tempFolder } from '../../support/clips.js'

test('a reader that starts after its decoder has ended still gets every frame', async (t) => {
  const folder = await tempFolder(t)
  const path = await makeClip(join(folder, 'in.mp4'), { frames: 3, size: '32x32' })
  await using reader = await FrameReader.open(path, { pixelFormat: 'gray' })
  // Nothing announces that a process nobody waits for has ended: this is longer than it takes.
  await pause(1500)
  const frame = new Uint8Array(reader.frameBytes)
  let frames = 0
  while (await reader.readInto(frame)) frames += 1
  assert.equal(frames, 3)
})
