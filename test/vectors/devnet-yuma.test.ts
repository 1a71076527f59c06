import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type YumaOutput, yuma } from '#src/devnet/pallets/yuma.js'

interface Case {
  readonly id: string
  readonly in: {
    readonly weights: number[][]
    readonly stake: number[]
    readonly kappa: number
    readonly bonds?: number[][]
    readonly bondsAlpha: number
    readonly bondsPenalty: number
  }
  readonly out: Readonly<Record<string, number[]>>
}

const FIELDS: Readonly<Record<string, keyof YumaOutput>> = {
  consensus: 'consensus',
  validator_trust: 'validatorTrust',
  rank: 'rank',
  incentive: 'incentive',
  trust: 'trust',
  dividends: 'dividends',
}

// test/fixtures/scoring/yuma.json: plain Yuma as a float model, see the README beside it.
const file = new URL('../../../test/fixtures/scoring/yuma.json', import.meta.url)
const { cases, tolerance } = JSON.parse(readFileSync(file, 'utf8')) as {
  cases: Case[]
  tolerance: number
}

test('ten epochs of plain Yuma agree with the model', () => {
  assert.equal(cases.length, 10)
  for (const { id, in: input, out } of cases) {
    const result = yuma(input)
    for (const [name, expected] of Object.entries(out)) {
      const field = FIELDS[name]
      assert.ok(field, `${id}: ${name}`)
      const actual = result[field] as number[]
      assert.equal(actual.length, expected.length, `${id} ${name}`)
      expected.forEach((value, i) => {
        const off = Math.abs(value - (actual[i] ?? Number.NaN))
        assert.ok(off <= tolerance, `${id} ${name}[${i}]: ${actual[i]} for ${value}`)
      })
    }
  }
})
