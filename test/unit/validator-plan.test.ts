import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  DEFAULT_PLAN_SETTINGS,
  type PlanInput,
  planRound,
  roundBlock,
} from '#src/validator/plan.js'

const clips = Array.from({ length: 7 }, (_, i) => ({
  id: `clip-${i}`,
  durationSeconds: 4 + i,
  width: 640,
  height: 360,
}))
const miners = Array.from({ length: 20 }, (_, i) => `5Miner${i}`)
const input = (over: Partial<PlanInput> = {}): PlanInput => ({
  netuid: 85,
  kind: 'compression',
  blockHash: `0x${'ab'.repeat(32)}`,
  block: 1000,
  clips,
  miners,
  seconds: 2,
  settings: DEFAULT_PLAN_SETTINGS,
  ...over,
})
const hash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`)

describe('a round plan', () => {
  it('never uses a clip twice: each block cuts and changes one in a way of its own', () => {
    const seen = new Set<string>()
    for (let block = 0; block < 20_000; block += 1) {
      const blockHash = `0x${createHash('sha256').update(String(block)).digest('hex')}`
      const { clipId, cut } = planRound(
        input({ blockHash, kind: block % 2 === 0 ? 'compression' : 'upscaling' }),
      )
      seen.add(JSON.stringify([clipId, cut]))
    }
    assert.equal(seen.size, 20_000)
  })

  it('is the same for two validators on one block, in whatever order they hold clips and miners', () => {
    fc.assert(
      fc.property(
        hash,
        fc.constantFrom('compression' as const, 'upscaling' as const),
        (blockHash, kind) => {
          const one = planRound(input({ blockHash, kind }))
          const two = planRound(
            input({ blockHash, kind, clips: [...clips].reverse(), miners: [...miners].reverse() }),
          )
          assert.deepEqual(one, two)
        },
      ),
    )
  })

  it('differs on another block, subnet or kind', () => {
    const base = JSON.stringify(planRound(input()).cut)
    assert.notEqual(
      JSON.stringify(planRound(input({ blockHash: `0x${'ac'.repeat(32)}` })).cut),
      base,
    )
    assert.notEqual(JSON.stringify(planRound(input({ netuid: 86 })).cut), base)
    assert.notEqual(JSON.stringify(planRound(input({ kind: 'upscaling' })).cut), base)
  })

  it('asks every miner once', () => {
    assert.deepEqual([...planRound(input()).order].sort(), [...miners].sort())
  })

  it('cuts inside the clip and never longer than it', () => {
    fc.assert(
      fc.property(hash, fc.integer({ min: 1, max: 30 }), (blockHash, seconds) => {
        const plan = planRound(input({ blockHash, seconds }))
        const clip = clips.find(({ id }) => id === plan.clipId)
        assert.ok(clip !== undefined && plan.cut.startSeconds >= 0)
        assert.ok(plan.cut.startSeconds + plan.cut.seconds <= clip.durationSeconds + 1e-3)
      }),
    )
  })

  it('draws task types by their weights', () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 2000; i += 1) {
      const { task } = planRound(
        input({ kind: 'upscaling', blockHash: `0x${i.toString(16).padStart(64, '0')}` }),
      )
      assert.ok(task.kind === 'upscaling')
      counts.set(task.taskType, (counts.get(task.taskType) ?? 0) + 1)
    }
    for (const { name, weight } of DEFAULT_PLAN_SETTINGS.taskTypes) {
      const share = (counts.get(name) ?? 0) / 2000
      assert.ok(Math.abs(share - weight) < 0.05, `${name}: ${share}`)
    }
  })

  it('opens the same round for validators that start at different blocks', () => {
    assert.equal(roundBlock(1234, 100), 1200)
    assert.equal(roundBlock(1299, 100), 1200)
    assert.equal(roundBlock(1300, 100), 1300)
  })
})
