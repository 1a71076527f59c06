import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { processWeights, quantise } from '#src/chain/quantise.js'
import type { Uid } from '#src/protocol/units.js'

// Golden: bittensor 10.5.0 process_weights and convert_weights_and_uids_for_emit.
interface Case {
  name?: string
  uids: Uid[]
  weights: number[]
  num_neurons: number
  min_allowed_weights: number
  max_weight_limit: number
  exclude_quantile: number
  processed_uids: number[]
  processed_weights: number[]
  emit_uids: number[]
  emit_values: number[]
}

const load = (name: string): Case[] =>
  JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/weights/${name}`, import.meta.url), 'utf8'),
  )

function assertEmitted(actual: ReturnType<typeof quantise>, item: Case, name: string): void {
  assert.deepEqual(actual.uids, item.emit_uids, name)
  actual.values.forEach((value, i) => {
    const off = Math.abs(value - (item.emit_values[i] ?? Number.NaN))
    assert.ok(off <= 1, `${name}: uid ${actual.uids[i]} is ${value}, not ${item.emit_values[i]}`)
  })
}

describe('weights as bittensor 10.5.0 prepares them', () => {
  const processed = load('process-weights.json')
  it(`agrees on all ${processed.length} processed vectors, values within one`, () => {
    assert.equal(processed.length, 25)
    for (const item of processed) {
      const name = item.name ?? ''
      const result = processWeights(item, {
        neurons: item.num_neurons,
        minAllowedWeights: item.min_allowed_weights,
        maxShare: item.max_weight_limit,
        excludeQuantile: item.exclude_quantile / 65_535,
      })
      assert.deepEqual(result.uids, item.processed_uids, name)
      result.weights.forEach((weight, i) => {
        const expected = item.processed_weights[i] ?? Number.NaN
        assert.ok(Math.abs(weight - expected) < 1e-5, `${name}: ${weight} is not ${expected}`)
      })
      assertEmitted(quantise(result), item, name)
    }
  })

  const emitted = load('emit.json')
  it(`agrees on all ${emitted.length} emitted vectors, values within one`, () => {
    assert.equal(emitted.length, 6)
    emitted.forEach((item, i) => {
      assertEmitted(quantise(item), item, `case ${i}`)
    })
  })
})
