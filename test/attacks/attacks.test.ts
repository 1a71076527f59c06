// Cheats against the judge on real clips, and honest encodes that it must not accuse.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createJudge, type Judge, type Judged } from '#src/scoring/judge/index.js'
import { createVmafScorer } from '#src/scoring/metrics/index.js'
import type { VmafScorer } from '#src/scoring/types.js'
import { CHEATS } from './cheats.js'
import { HONEST } from './honest.js'
import { type Clip, cook, ENCODE, makeReference, type Recipe } from './kit.js'

const THRESHOLD = 85
/** The most that a cheat may earn, as a multiple of the honest encode it started from. */
const TOLERANCE = 1.02

const CLIPS: readonly (readonly [string, number])[] = [
  ['launch', 24],
  ['bbb480', 25],
  ['texturepan', 25],
]
/** Clips that are attacked; all are used to look for false alarms. */
const ATTACKED = 2

describe('attacks', () => {
  let folder: string
  let scorer: VmafScorer
  let judge: Judge
  const clips: Clip[] = []
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-attacks-'))
    scorer = await createVmafScorer({ device: 'cpu' })
    judge = createJudge({ vmaf: scorer }, { maxResults: 100, tempDir: folder })
    for (const [name, fps] of CLIPS) clips.push(await makeReference(name, fps, folder))
  })
  after(async () => {
    await scorer.close()
    await rm(folder, { recursive: true, force: true })
  })

  async function judgeAll(
    clip: Clip,
    recipes: readonly (Recipe & { readonly name: string })[],
  ): Promise<ReadonlyMap<string, Judged>> {
    const files = recipes.map(({ name }, index) => ({
      id: name,
      path: join(folder, `${clip.name}-${recipes.length}-${index}.mp4`),
    }))
    const orders = recipes.map((recipe, i) => ({ recipe, out: files[i]?.path ?? '' }))
    await cook(clip, orders, folder)
    const judged = await judge.scoreCompression({
      reference: clip.path,
      results: files,
      threshold: THRESHOLD,
      formula: 'vidaio-compression',
    })
    return new Map(judged.map((one) => [one.id, one]))
  }

  for (const [index, [name]] of CLIPS.slice(0, ATTACKED).entries()) {
    it(`pays no cheat on ${name} more than ${TOLERANCE} times the honest encode`, async () => {
      const clip = clips[index]
      assert.ok(clip !== undefined)
      const honest = { name: 'honest', args: ENCODE }
      const judged = await judgeAll(clip, [honest, ...CHEATS])
      const worth = judged.get('honest')?.record.score ?? 0
      assert.ok(worth > 0.2, `the honest encode earns ${worth}`)
      for (const cheat of CHEATS) {
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

  for (const [index, [name]] of CLIPS.entries()) {
    it(`accuses no honest encode of ${name}`, async () => {
      const clip = clips[index]
      assert.ok(clip !== undefined)
      const judged = await judgeAll(clip, HONEST)
      for (const [variant, { record }] of judged) {
        const alarms = record.gates.filter((gate) => !gate.passed)
        assert.deepEqual(alarms, [], `${variant} of ${name}: ${record.reason}`)
        assert.ok(record.metrics.vmafNeg !== undefined, `${variant} was measured`)
      }
    })
  }

  it('holds at least 25 cheats and 40 honest encodes', () => {
    assert.ok(CHEATS.length >= 25, `${CHEATS.length} cheats`)
    assert.ok(HONEST.length * CLIPS.length >= 40, `${HONEST.length * CLIPS.length} honest encodes`)
  })
})
