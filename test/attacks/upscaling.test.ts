// What is sold as upscaling but is not: against the judge, beside a real upscaler.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SpanEngine } from '#src/engines/index.js'
import { createJudge, type Judged } from '#src/scoring/judge/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import { type Clip, ffmpeg, makeReference } from './kit.js'

const HIGH = ['-c:v', 'libx265', '-preset', 'medium', '-crf', '18', '-tag:v', 'hvc1']
const QUIET = ['-x265-params', 'log-level=none', '-pix_fmt', 'yuv420p']

describe('upscaling', () => {
  let folder: string
  const judged = new Map<string, Judged>()

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-upscaling-'))
    const reference = await makeReference('launch', 24, folder)
    const input = join(folder, 'input.mp4')
    await ffmpeg(
      ...['-i', reference.path, '-vf', 'scale=160:90:flags=bicubic'],
      ...['-c:v', 'libx264', '-crf', '12', '-pix_fmt', 'yuv420p', input],
    )
    const results = await makeResults(reference, input)
    const scorer = await createVmafScorer({ device: 'cpu' })
    try {
      const judge = createJudge({ vmaf: scorer }, { tempDir: folder })
      const task = { reference: reference.path, input, results, scale: 2 } as const
      for (const one of await judge.scoreUpscaling(task)) judged.set(one.id, one)
    } finally {
      await scorer.close()
    }
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function makeResults(reference: Clip, input: string) {
    const size = `${reference.width}:${reference.height}`
    const results: { id: string; path: string }[] = []
    const filtered = async (id: string, vf: string): Promise<void> => {
      const path = join(folder, `${results.length}.mp4`)
      await ffmpeg('-i', input, '-vf', vf, ...HIGH, ...QUIET, path)
      results.push({ id, path })
    }
    await filtered('bicubic', `scale=${size}:flags=bicubic`)
    await filtered('bilinear', `scale=${size}:flags=bilinear`)
    await filtered('nearest', `scale=${size}:flags=neighbor`)
    await filtered('lanczos', `scale=${size}:flags=lanczos`)
    await filtered('bicubic and unsharp', `scale=${size}:flags=bicubic,unsharp=5:5:1`)
    await filtered('input at its own size', 'null')
    const workDir = join(folder, 'span')
    await mkdir(workDir)
    const engine = new SpanEngine()
    try {
      const { path } = await engine.run(
        { path: input, params: { scale: 2, codec: 'hevc' } },
        { workDir, signal: new AbortController().signal },
      )
      results.push({ id: 'honest', path })
    } finally {
      await engine.close()
    }
    return results
  }

  const scoreOf = (id: string): number => judged.get(id)?.record.score ?? Number.NaN

  it('pays a real upscaler', () => {
    assert.ok(scoreOf('honest') > 0, judged.get('honest')?.record.reason)
  })

  it('pays nothing for plain bicubic, and names what judged it', () => {
    const record = judged.get('bicubic')?.record
    assert.equal(record?.score, 0)
    assert.match(record?.reason ?? '', /no better than plain bicubic/)
    assert.equal(record?.formula.name, 'upscaling-gain')
  })

  it('pays less for every other filter than for a real upscaler', () => {
    for (const id of ['bilinear', 'nearest', 'lanczos', 'bicubic and unsharp']) {
      assert.ok(scoreOf(id) < scoreOf('honest'), `${id}: ${judged.get(id)?.record.reason}`)
    }
  })

  it('refuses the input at its own size', () => {
    const record = judged.get('input at its own size')?.record
    assert.match(record?.reason ?? '', /gate dimensions: 160x90, expected 320x180/)
  })
})
