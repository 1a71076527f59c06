import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Corpus } from '#src/corpus/index.js'
import { silentLog } from '#src/lib/log.js'
import type { S3Store } from '#src/storage/index.js'
import { mirrorClips } from '#src/validator/clip-mirror.js'
import { FIXTURES, scratch } from '../support/miner.js'
import { openS3, type S3Server, startSeaweed } from '../support/s3.js'

const signal = new AbortController().signal

describe('a corpus below a prefix of a bucket', () => {
  let server: S3Server
  let store: S3Store
  let files: { dir: string; remove(): Promise<void> }
  const clip = join(FIXTURES, 'flattitle.ref.mp4')
  const other = join(FIXTURES, 'flattitle.crf23.mp4')
  const mirror = () =>
    mirrorClips(store, { prefix: 'clips/', dir: join(files.dir, 'corpus'), signal }, silentLog())
  const mirrored = async () => (await readdir(join(files.dir, 'corpus'))).sort()

  before(async () => {
    files = await scratch()
    server = await startSeaweed()
    store = await openS3(server.endpoint)
    for (const [key, path] of [
      ['clips/a.mp4', clip],
      ['clips/deep/b.mp4', other],
      ['clips/notes.txt', clip],
      ['elsewhere/c.mp4', clip],
    ] as const)
      await store.putFile(key, path)
  })
  after(async () => {
    await store.close()
    await server.close()
    await files.remove()
  })

  it('is fetched whole, clips only', async () => {
    assert.equal(await mirror(), 2)
    assert.deepEqual(await mirrored(), ['a.mp4', 'deep_b.mp4'])
    assert.deepEqual(await readFile(join(files.dir, 'corpus', 'a.mp4')), await readFile(clip))
    const corpus = await Corpus.open(join(files.dir, 'corpus'))
    assert.equal(corpus.clips.length, 2)
  })

  it('follows the bucket: what changed is fetched again, what is gone is removed', async () => {
    await store.putFile('clips/a.mp4', other)
    await store.delete('clips/deep/b.mp4')
    assert.equal(await mirror(), 1)
    assert.deepEqual(await readFile(join(files.dir, 'corpus', 'a.mp4')), await readFile(other))
    assert.ok(!(await mirrored()).includes('deep_b.mp4'))
  })
})
