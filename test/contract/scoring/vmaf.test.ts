import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fileUrl, runFfmpeg } from '#src/media/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import type { VmafResult, VmafScorer } from '#src/scoring/types.js'

const fixtures = fileURLToPath(new URL('../../../../test/fixtures/media/', import.meta.url))
const reference = join(fixtures, 'flattitle.ref.mp4')
const blurred = join(fixtures, 'flattitle.blur.mp4')

const codeOf = (error: unknown) => (error as { code?: string }).code

describe('the VMAF scorer', () => {
  let scorer: VmafScorer
  let folder = ''
  let whole: VmafResult
  const path = (name: string) => join(folder, name)
  const make = async (name: string, input: string, ...args: readonly string[]) => {
    await runFfmpeg(['-i', fileUrl(input), ...args, fileUrl(path(name))])
    return path(name)
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-vmaf-'))
    scorer = await createVmafScorer({ device: 'cpu', lanes: 2 })
    whole = await scorer.score(reference, blurred)
  })
  after(async () => {
    await scorer.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('a result of another size is scaled, bicubic, its contrast untouched', async () => {
    const small = await make('small.mp4', reference, '-vf', 'scale=240:136', '-crf', '18')
    const scale = 'scale=480:270:flags=bicubic'
    const large = await make('large.mkv', small, '-vf', scale, '-c:v', 'ffv1')
    const [a, b] = await scorer.scoreMany(reference, [small, large])
    assert.ok(a !== undefined && b !== undefined && !('error' in a) && !('error' in b))
    assert.deepEqual([a.width, a.height], [480, 270])
    assert.equal(a.vmaf.mean, b.vmaf.mean)
    assert.ok(a.vmaf.mean < 90, `${a.vmaf.mean}`)
  })

  test('10 bits score as the same pictures in 8 do', async () => {
    const deep = ['-vf', 'format=yuv420p10le', '-c:v', 'ffv1']
    const ref = await make('ref10.mkv', reference, ...deep)
    const dist = await make('blur10.mkv', blurred, ...deep)
    const result = await scorer.score(ref, dist)
    assert.ok(result.models.some((model) => model.name === 'vmaf_features_10bit'))
    assert.ok(Math.abs(result.vmaf.mean - whole.vmaf.mean) < 0.02, `${result.vmaf.mean}`)
    const mixed = await scorer.score(ref, blurred)
    assert.ok(Math.abs(mixed.vmaf.mean - result.vmaf.mean) < 1e-9, 'an 8-bit result is widened')
  })

  test('every fifth frame scores as it does among all', async () => {
    const some = await scorer.score(reference, blurred, { every: 5 })
    assert.equal(some.frames, 8)
    for (const [i, score] of some.vmaf.frames.entries()) {
      assert.ok(Math.abs(score - (whole.vmaf.frames[5 * i] ?? 0)) < 1e-9, `frame ${5 * i}`)
    }
  })

  test('one result that cannot be scored leaves the others alone', async () => {
    await writeFile(path('text.mp4'), 'not a video')
    const short = await make('short.mp4', blurred, '-frames:v', '30')
    const long = await make('long.mp4', blurred, '-vf', 'tpad=stop=9:stop_mode=clone')
    const nearly = await make('nearly.mp4', blurred, '-frames:v', '39', '-crf', '10')
    const results = await scorer.scoreMany(reference, [
      path('text.mp4'),
      short,
      long,
      nearly,
      blurred,
    ])
    const codes = results.map((result) =>
      'error' in result ? codeOf(result.error) : result.frames,
    )
    assert.deepEqual(codes, [
      'MEDIA_FORMAT_REFUSED',
      'METRICS_FRAME_COUNT_DIFFERS',
      'METRICS_FRAME_COUNT_DIFFERS',
      39,
      40,
    ])
    const last = results.at(-1)
    assert.ok(last !== undefined && !('error' in last))
    assert.equal(last.vmafNeg.mean, whole.vmafNeg.mean)
  })

  test('pictures under 32 pixels a side are refused', async () => {
    const tiny = await make('tiny.mp4', reference, '-vf', 'scale=40:24')
    await assert.rejects(scorer.score(tiny, tiny), { code: 'METRICS_PICTURE_TOO_SMALL' })
  })

  test('an abort ends the work and its decoders', async () => {
    const control = new AbortController()
    const scoring = scorer.score(reference, blurred, {
      signal: control.signal,
      onFrame: (done) => {
        if (done === 3) control.abort()
      },
    })
    await assert.rejects(scoring, { name: 'AbortError' })
    assert.equal((await scorer.score(reference, blurred)).frames, 40)
  })
})
