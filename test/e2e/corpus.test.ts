import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Corpus, CorpusError } from '#src/corpus/index.js'
import { probe } from '#src/media/index.js'
import { DEFAULT_PLAN_SETTINGS, planRound, type RoundKind } from '#src/validator/plan.js'

let dir: string
let corpus: Corpus

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'subreel-corpus-'))
  corpus = await Corpus.open('test/fixtures/media')
})
after(() => rm(dir, { recursive: true }))

const plan = (kind: RoundKind, seed: number) =>
  planRound({
    netuid: 85,
    kind,
    blockHash: `0x${seed.toString(16).repeat(64)}`,
    block: 1,
    clips: corpus.clips.filter(({ id }) => id.endsWith('.ref.mp4')),
    miners: [],
    seconds: 0.5,
    settings: DEFAULT_PLAN_SETTINGS,
  })

describe('the corpus', () => {
  it('makes a compression challenge that plays', async () => {
    const { clipId, cut } = plan('compression', 1)
    const path = join(dir, 'c.mp4')
    await corpus.compression(clipId, cut, path)
    const info = await probe(path)
    assert.equal(info.video?.codec, 'h264')
    assert.equal(info.video.colorSpace, 'bt709')
    assert.ok(info.durationSeconds > 0.35 && info.durationSeconds < 0.75, `${info.durationSeconds}`)
  })

  it('makes an upscaling pair whose sides are exact multiples', async () => {
    for (const seed of [1, 2]) {
      const { clipId, cut, task } = plan('upscaling', seed)
      assert.ok(task.kind === 'upscaling')
      const output = { reference: join(dir, `r${seed}.mp4`), payload: join(dir, `p${seed}.mp4`) }
      await corpus.upscaling(clipId, cut, task.scale, task.degradation, output)
      const [reference, payload] = [await probe(output.reference), await probe(output.payload)]
      assert.equal(reference.video?.width, (payload.video?.width ?? 0) * task.scale)
      assert.equal(reference.video?.height, (payload.video?.height ?? 0) * task.scale)
      assert.equal(reference.video?.frames, payload.video?.frames)
    }
  })

  it('lays a part of another clip over some, without changing length or size', async () => {
    const seeds = Array.from({ length: 64 }, (_, i) => i)
    const overlaid = seeds
      .map((seed) => plan('compression', seed))
      .find(({ cut }) => cut.variation.overlay !== undefined)
    assert.ok(overlaid !== undefined, 'one in three has an overlay')
    const { overlay, ...rest } = overlaid.cut.variation
    const plain = { ...overlaid.cut, variation: rest }
    const [withIt, without] = [join(dir, 'with.mp4'), join(dir, 'without.mp4')]
    await corpus.compression(overlaid.clipId, overlaid.cut, withIt)
    await corpus.compression(overlaid.clipId, plain, without)
    const [a, b] = [await probe(withIt), await probe(without)]
    assert.deepEqual(
      [a.video?.width, a.video?.height, a.video?.frames],
      [b.video?.width, b.video?.height, b.video?.frames],
    )
    assert.notEqual((await readFile(withIt)).length, (await readFile(without)).length)
  })

  it('wears the small side of a pair as old encoders do, and leaves no working file', async () => {
    const { clipId, cut, task } = plan('upscaling', 3)
    assert.ok(task.kind === 'upscaling')
    const worn = {
      ...task.degradation,
      before: { codec: 'mpeg2video', quality: 3 },
      noise: 1,
    } as const
    const output = { reference: join(dir, 'worn-r.mp4'), payload: join(dir, 'worn-p.mp4') }
    await corpus.upscaling(clipId, cut, task.scale, worn, output)
    const [reference, payload] = [await probe(output.reference), await probe(output.payload)]
    assert.equal(payload.video?.codec, 'h264')
    assert.equal(reference.video?.frames, payload.video?.frames)
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.includes('.first.')),
      [],
    )
  })

  it('gives every challenge square pixels, whatever the clip has', async () => {
    const { cut } = plan('compression', 1)
    assert.equal(
      (await probe('test/fixtures/media/bbb480.ref.mp4')).video?.sampleAspectRatio,
      '1280:1281',
    )
    const path = join(dir, 'square.mp4')
    const clip = corpus.clips.find(({ id }) => id.endsWith('bbb480.ref.mp4'))
    assert.ok(clip !== undefined)
    await corpus.compression(clip.id, { ...cut, startSeconds: 0 }, path)
    assert.equal((await probe(path)).video?.sampleAspectRatio, '1:1')
  })

  it('says that a folder holds no video', async () => {
    const empty = join(dir, 'empty')
    await mkdir(empty)
    await writeFile(join(empty, 'fake.mp4'), 'not a video')
    await assert.rejects(
      Corpus.open(empty),
      (error) => error instanceof CorpusError && error.code === 'CORPUS_EMPTY',
    )
  })
})
