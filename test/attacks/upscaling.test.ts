// What is sold as upscaling but is not: against the judge, beside a real upscaler.
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SpanEngine } from '#src/engines/index.js'
import { createJudge, type Judge, type Judged } from '#src/scoring/judge/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import type { VmafScorer } from '#src/scoring/types.js'
import { type Clip, cook, ffmpeg, makeReference, type Recipe } from './kit.js'

const HIGH = ['-c:v', 'libx265', '-preset', 'fast', '-crf', '18', '-tag:v', 'hvc1']
const QUIET = ['-x265-params', 'log-level=none', '-pix_fmt', 'yuv420p']

/** Filters that anybody has; `UP` is the scaling itself. */
const FILTERS: Readonly<Record<string, string>> = {
  bicubic: 'UP:flags=bicubic',
  bilinear: 'UP:flags=bilinear',
  nearest: 'UP:flags=neighbor',
  lanczos: 'UP:flags=lanczos',
  'bicubic, sharpened by 0.4': 'UP:flags=bicubic,unsharp=5:5:0.4',
  'bicubic, sharpened by 0.7': 'UP:flags=bicubic,unsharp=5:5:0.7',
  'bicubic, sharpened by 1': 'UP:flags=bicubic,unsharp=5:5:1',
  'bicubic, sharpened by 1.5': 'UP:flags=bicubic,unsharp=5:5:1.5',
  'bicubic, sharpened widely': 'UP:flags=bicubic,unsharp=9:9:1',
  'bicubic, sharpened by contrast': 'UP:flags=bicubic,cas=0.6',
  'lanczos, sharpened by 0.4': 'UP:flags=lanczos,unsharp=5:5:0.4',
  'lanczos, sharpened by 1': 'UP:flags=lanczos,unsharp=5:5:1',
  'sharpened, then bicubic': 'unsharp=3:3:0.5,UP:flags=bicubic',
  'sharpened, then lanczos': 'unsharp=3:3:1,UP:flags=lanczos',
  'denoised, then sharpened by 0.6': 'UP:flags=bicubic,hqdn3d=3:2:4:3,unsharp=5:5:0.6',
  'denoised, then sharpened by 1.2': 'UP:flags=lanczos,hqdn3d=3:2:4:3,unsharp=5:5:1.2',
  'bicubic with noise': 'UP:flags=bicubic,noise=alls=6:allf=t',
}
/** Changes of tone, each on top of bicubic. */
const TONES: Readonly<Record<string, string>> = {
  'contrast 1.05': 'eq=contrast=1.05',
  'gamma 0.95': 'eq=gamma=0.95',
  'darker by 8 levels': 'lutyuv=y=val-8',
  oversaturated: 'hue=s=1.3',
}
/** Fewer than in other attacks: upscaling them takes longest. */
const UPSCALED_FRAMES = 12
const SMALL = 'input at its own size'

interface Case {
  readonly clip: string
  readonly scale: 2 | 4
  /** Taken out of the clip at its own size; else the clip is scaled down. */
  readonly crop?: string
  /** How the input is made. */
  readonly down: 'bicubic' | 'area' | 'lanczos'
  /** Grain added to the reference. */
  readonly grain?: number
}
const CASES: readonly Case[] = [
  { clip: 'launch', scale: 2, down: 'bicubic' },
  { clip: 'launch', scale: 2, crop: '320:180:160:100', down: 'area', grain: 8 },
  { clip: 'bbb480', scale: 2, crop: '320:192:260:140', down: 'lanczos' },
  { clip: 'bbb480', scale: 4, crop: '320:192:260:140', down: 'bicubic' },
]

for (const { clip, scale, crop, down, grain } of CASES) {
  const title = `${clip}${crop === undefined ? '' : ' cropped'}${grain ? ' with grain' : ''}`
  describe(`upscaling ${title} by ${scale}`, () => {
    let folder: string
    let scorer: VmafScorer
    let judge: Judge
    const judged = new Map<string, Judged>()

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'subreel-upscaling-'))
      scorer = await createVmafScorer({ device: 'cpu' })
      judge = createJudge({ vmaf: scorer }, { tempDir: folder })
      const picture = [
        crop === undefined ? 'scale=320:180:flags=area' : `crop=${crop}`,
        ...(grain === undefined ? [] : [`noise=alls=${grain}:allf=t`]),
        ...['setsar=1', `trim=end_frame=${UPSCALED_FRAMES}`],
      ]
      const reference = await makeReference(clip, 24, folder, picture.join(','))
      const input = join(folder, 'input.mp4')
      await ffmpeg(
        ...['-i', reference.path, '-vf', `scale=iw/${scale}:ih/${scale}:flags=${down}`],
        ...['-c:v', 'libx264', '-crf', '14', '-pix_fmt', 'yuv420p', input],
      )
      const results = [...(await filtered(reference, input)), await upscaled(input)]
      const task = { reference: reference.path, input, results, scale }
      for (const one of await judge.scoreUpscaling(task)) judged.set(one.id, one)
    })
    after(async () => {
      await scorer.close()
      await rm(folder, { recursive: true, force: true })
    })

    async function filtered(reference: Clip, input: string) {
      const up = `scale=iw*${scale}:ih*${scale}`
      const chains: Readonly<Record<string, string>> = {
        ...FILTERS,
        ...Object.fromEntries(
          Object.entries(TONES).map(([name, tone]) => [name, `UP:flags=bicubic,${tone}`]),
        ),
        [SMALL]: 'null',
      }
      const results = Object.keys(chains).map((id, i) => ({ id, path: join(folder, `${i}.mp4`) }))
      const orders = results.map(({ id, path }) => {
        const chain = (chains[id] ?? '').replace('UP', up)
        const recipe: Recipe = { args: ['-vf', chain, ...HIGH, ...QUIET] }
        return { recipe, out: path }
      })
      await cook({ ...reference, path: input }, orders, folder)
      return results
    }

    async function upscaled(input: string) {
      const workDir = join(folder, 'span')
      await mkdir(workDir)
      const engine = new SpanEngine()
      try {
        const { path } = await engine.run(
          { path: input, params: { scale, codec: 'hevc' } },
          { workDir, signal: new AbortController().signal },
        )
        return { id: 'SPAN', path }
      } finally {
        await engine.close()
      }
    }

    const recordOf = (id: string) => {
      const record = judged.get(id)?.record
      assert.ok(record !== undefined, id)
      return record
    }

    it('pays a real upscaler, and finds no fault with it', () => {
      const record = recordOf('SPAN')
      assert.deepEqual(
        record.gates.filter((gate) => !gate.passed),
        [],
        record.reason,
      )
      assert.ok(record.score > 0, record.reason)
      assert.equal(record.formula.name, 'upscaling-gain')
    })

    it('pays every filter less, sharpened or not, and plain ones nothing', () => {
      const honest = recordOf('SPAN').score
      for (const id of Object.keys(FILTERS)) {
        const { score, reason } = recordOf(id)
        assert.ok(score < honest, `${id} beside ${honest}: ${reason}`)
        if (!/sharpened/.test(id)) assert.equal(score, 0, `${id}: ${reason}`)
      }
    })

    it('refuses changes of tone, and the input at its own size', () => {
      for (const id of Object.keys(TONES)) {
        assert.match(recordOf(id).reason, /gate tone/, `${id}: ${recordOf(id).reason}`)
      }
      assert.match(recordOf(SMALL).reason, /gate dimensions/)
    })
  })
}
