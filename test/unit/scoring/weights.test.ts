import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Hotkey, toHotkey, toUid } from '#src/protocol/units.js'
import { EMPTY_LEDGER, type Ledger, record } from '#src/scoring/ledger.js'
import type { TaskKind } from '#src/scoring/types.js'
import {
  computeWeights,
  VIDAIO_WEIGHTS,
  WEIGHTS,
  type WeightNeuron,
  type WeightOutcome,
} from '#src/scoring/weights.js'

const hotkey = (uid: number): Hotkey =>
  toHotkey(`5${String(uid).replaceAll('0', 'z')}${'x'.repeat(47)}`.slice(0, 48))
const neuron = (uid: number): WeightNeuron => ({ uid: toUid(uid), hotkey: hotkey(uid) })

function ledgerOf(scores: Readonly<Record<number, readonly [TaskKind, number][]>>): Ledger {
  let ledger = EMPTY_LEDGER
  for (const [uid, list] of Object.entries(scores)) {
    for (const [index, [task, score]] of list.entries()) {
      ledger = record(ledger, {
        hotkey: hotkey(Number(uid)),
        task,
        taskId: `t${index}`,
        atMs: 0,
        origin: 'synthetic',
        outcome: { kind: 'scored', score },
      })
    }
  }
  return ledger
}

function weightsOf(outcome: WeightOutcome): Map<number, number> {
  assert.equal(outcome.kind, 'weights')
  return outcome.kind === 'weights'
    ? new Map(outcome.entries.map((entry) => [entry.uid, entry.weight]))
    : new Map()
}

describe('weights', () => {
  it('shares a pool by score squared', () => {
    const ledger = ledgerOf({ 1: [['compression', 0.6]], 2: [['compression', 0.3]] })
    const weights = weightsOf(
      computeWeights({
        ledger,
        neurons: [neuron(1), neuron(2)],
        nowMs: 0,
        config: { ...WEIGHTS, pools: { ...WEIGHTS.pools } },
      }),
    )
    // 0.3 falls under compression's penalty line: one row of ten costs 2 %.
    const ratio = (weights.get(1) ?? 0) / (weights.get(2) ?? 1)
    assert.ok(Math.abs(ratio - (0.6 / (0.3 * 0.98)) ** 2) < 1e-9, `ratio ${ratio}`)
  })

  it('gives the shares of pools without miners to the others', () => {
    const ledger = ledgerOf({ 4: [['upscaling', 0.3]] })
    const weights = weightsOf(computeWeights({ ledger, neurons: [neuron(4)], nowMs: 0 }))
    assert.deepEqual([...weights], [[4, 1]])
  })

  it('pays the best five alike under the rules of Vidaio', () => {
    const scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    const ledger = ledgerOf(Object.fromEntries(scores.map((s, uid) => [uid, [['compression', s]]])))
    const neurons = scores.map((_, uid) => neuron(uid))
    const outcome = computeWeights({ ledger, neurons, nowMs: 0, config: VIDAIO_WEIGHTS })
    const weights = weightsOf(outcome)
    assert.equal(weights.size, 5)
    for (const weight of weights.values()) assert.ok(Math.abs(weight - 0.2) < 1e-12)
  })

  it('pays a podium out of its pool and burns a share of all', () => {
    const ledger = ledgerOf({ 1: [['compression', 0.6]], 2: [['upscaling', 0.3]] })
    const outcome = computeWeights({
      ledger,
      neurons: [neuron(1), neuron(2), neuron(3)],
      nowMs: 0,
      podium: [{ uid: 3, rank: 1 }],
      burnUid: toUid(9),
      config: { ...VIDAIO_WEIGHTS, sharing: { kind: 'proportional', power: 1 }, burn: 0.5 },
    })
    const weights = weightsOf(outcome)
    assert.ok(Math.abs((weights.get(9) ?? 0) - 0.5) < 1e-12)
    assert.ok(Math.abs((weights.get(3) ?? 0) - 0.21) < 1e-12)
    assert.ok(Math.abs((weights.get(1) ?? 0) - 0.19) < 1e-12)
  })

  it('says why there is nothing to set instead of setting zeros', () => {
    const none = computeWeights({ ledger: EMPTY_LEDGER, neurons: [], nowMs: 0 })
    assert.equal(none.kind === 'no-usable-weights' && none.reason, 'no-neurons')
    const zeros = ledgerOf({ 1: [['compression', 0]] })
    const outcome = computeWeights({ ledger: zeros, neurons: [neuron(1)], nowMs: 0 })
    assert.equal(outcome.kind === 'no-usable-weights' && outcome.reason, 'nothing-scored')
  })

  it('pays nothing to a new owner of a uid', () => {
    const ledger = ledgerOf({ 1: [['compression', 0.9]], 2: [['compression', 0.9]] })
    const newcomer: WeightNeuron = { uid: toUid(1), hotkey: hotkey(77) }
    const weights = weightsOf(computeWeights({ ledger, neurons: [newcomer, neuron(2)], nowMs: 0 }))
    assert.deepEqual([...weights], [[2, 1]])
  })

  it('is finite, positive and sums to 1 whatever the scores and settings', () => {
    const task = fc.constantFrom<TaskKind>('compression', 'upscaling', 'generation', 'audio')
    const score = fc.oneof(fc.double({ min: 0, max: 1 }), fc.constant(Number.NaN), fc.double())
    const rows = fc.array(fc.tuple(task, score), { maxLength: 4 })
    fc.assert(
      fc.property(
        fc.array(rows, { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        fc.double({ min: 0, max: 1e12, noNaN: true }),
        (all, vidaio, burn, nowMs) => {
          const base = vidaio ? VIDAIO_WEIGHTS : WEIGHTS
          const outcome = computeWeights({
            ledger: ledgerOf(Object.fromEntries(all.entries())),
            neurons: all.map((_, uid) => ({ ...neuron(uid), alpha: uid * 10 })),
            nowMs,
            burnUid: toUid(200),
            config: { ...base, burn, alphaFactor: 2 },
          })
          if (outcome.kind !== 'weights') return
          const weights = outcome.entries.map((entry) => entry.weight)
          assert.ok(weights.every((weight) => Number.isFinite(weight) && weight > 0))
          const total = weights.reduce((a, b) => a + b, 0)
          assert.ok(Math.abs(total - 1) < 1e-9, `sum ${total}`)
        },
      ),
      { numRuns: 200 },
    )
  })
})
