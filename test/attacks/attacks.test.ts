// Cheats against the judge on real clips, and honest encodes that it must not accuse.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createJudge, type Judge, type Judged } from '#src/scoring/judge/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import type { VmafScorer } from '#src/scoring/types.js'
import { CHEATS, type Cheat, DETAIL_CHEATS } from './cheats.js'
import { HONEST, HONEST_OF_TEN_BITS, type Honest } from './honest.js'
import { cook, ENCODE, makeReference, type Recipe } from './kit.js'

const THRESHOLD = 85
/** The most that a cheat may earn, as a multiple of the honest encode it started from. */
const TOLERANCE = 1.02

interface Source {
  readonly name: string
  readonly clip: string
  readonly fps: number
  /** A part at its own size instead of the whole made smaller, which has more detail in each pixel. */
  readonly filter?: string
  readonly pixelFormat?: 'yuv420p10le'
  readonly cheats: readonly Cheat[]
  readonly honest: readonly Honest[]
}
const EVERY_OTHER = HONEST.filter((_, i) => i % 2 === 0)
const SOURCES: readonly Source[] = [
  { name: 'launch', clip: 'launch', fps: 24, cheats: CHEATS, honest: HONEST },
  { name: 'bbb480', clip: 'bbb480', fps: 25, cheats: CHEATS, honest: HONEST },
  { name: 'texturepan', clip: 'texturepan', fps: 25, cheats: [], honest: HONEST },
  {
    name: 'a part of bbb480',
    clip: 'bbb480',
    fps: 25,
    filter: 'crop=320:180:260:140',
    cheats: DETAIL_CHEATS,
    honest: HONEST,
  },
  {
    name: 'a part of launch with grain',
    clip: 'launch',
    fps: 24,
    filter: 'crop=320:180:160:100,noise=alls=6:allf=t',
    cheats: [],
    honest: HONEST,
  },
  {
    name: 'a flat clip with the grain of rounds',
    clip: 'flattitle',
    fps: 30,
    filter: 'crop=320:180:80:40,noise=alls=4:allf=t',
    cheats: [],
    honest: EVERY_OTHER,
  },
  {
    name: 'grass with noise of colour',
    clip: 'texturepan',
    fps: 25,
    filter: 'crop=320:180:100:60,noise=c0s=5:c0f=t:c1s=8:c1f=t:c2s=8:c2f=t',
    cheats: [],
    honest: EVERY_OTHER,
  },
  {
    name: 'bbb480 in 10 bits',
    clip: 'bbb480',
    fps: 25,
    filter: 'crop=320:180:420:160,eq=brightness=0.02',
    pixelFormat: 'yuv420p10le',
    cheats: [],
    honest: HONEST_OF_TEN_BITS,
  },
]

describe('attacks', () => {
  let folder: string
  let scorer: VmafScorer
  let judge: Judge
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-attacks-'))
    scorer = await createVmafScorer({ device: 'cpu' })
    judge = createJudge({ vmaf: scorer }, { maxResults: 100, tempDir: folder })
  })
  after(async () => {
    await scorer.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function judgeAll(
    source: Source,
    recipes: readonly (Recipe & { readonly name: string })[],
  ): Promise<ReadonlyMap<string, Judged>> {
    const own = await mkdtemp(join(folder, 'clip-'))
    const clip = await makeReference(
      source.clip,
      source.fps,
      own,
      source.filter,
      source.pixelFormat,
    )
    const files = recipes.map(({ name }, index) => ({
      id: name,
      path: join(own, `${index}.mp4`),
    }))
    const orders = recipes.map((recipe, i) => ({ recipe, out: files[i]?.path ?? '' }))
    await cook(clip, orders, own)
    const judged = await judge.scoreCompression({
      reference: clip.path,
      results: files,
      threshold: THRESHOLD,
      formula: 'vidaio-compression',
    })
    return new Map(judged.map((one) => [one.id, one]))
  }

  for (const source of SOURCES.filter(({ cheats }) => cheats.length > 0)) {
    const { name, cheats } = source
    it(`pays no cheat on ${name} more than ${TOLERANCE} times the honest encode`, async () => {
      const honest = { name: 'honest', args: ENCODE }
      const judged = await judgeAll(source, [honest, ...cheats])
      const worth = judged.get('honest')?.record.score ?? 0
      assert.ok(worth > 0.2, `the honest encode earns ${worth}`)
      for (const cheat of cheats) {
        const record = judged.get(cheat.name)?.record
        assert.ok(record !== undefined, cheat.name)
        assert.ok(
          record.score <= TOLERANCE * worth,
          `${cheat.name} earns ${record.score} beside ${worth}: ${record.reason}`,
        )
        if (cheat.gate === undefined) continue
        const seen = record.gates.find((gate) => gate.code === cheat.gate)
        assert.equal(seen?.passed, false, `${cheat.name} passes ${cheat.gate}: ${record.reason}`)
      }
    })
  }

  for (const source of SOURCES) {
    const { name, honest } = source
    it(`accuses no honest encode of ${name}`, async () => {
      const judged = await judgeAll(source, honest)
      for (const [variant, { record }] of judged) {
        const alarms = record.gates.filter((gate) => !gate.passed)
        assert.deepEqual(alarms, [], `${variant} of ${name}: ${record.reason}`)
        assert.ok(record.metrics.vmafNeg !== undefined, `${variant} was measured`)
      }
    })
  }

  it('holds at least 25 cheats and 40 honest encodes', () => {
    assert.ok(CHEATS.length >= 25, `${CHEATS.length} cheats`)
    const encodes = SOURCES.flatMap(({ honest }) => honest).length
    assert.ok(encodes >= 40, `${encodes} honest encodes`)
  })
})
