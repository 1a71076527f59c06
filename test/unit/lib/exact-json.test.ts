import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exactJson, packBigints, unpackBigints } from '#src/lib/exact-json.js'
import { WorkflowFirewall } from '#src/media/comfyui/index.js'
import { readJson, toPlain } from '#src/protocol/index.js'
import { noModel, withInputs } from '../media/comfyui/workflows.js'

const TEXT = '{"a":[18446744073709551615,1,-1.5,"18446744073709551615"],"b":{"c":null,"é\\n":true}}'

describe('JSON with large integers', () => {
  it('is written digit by digit, and otherwise as JSON.stringify writes it', () => {
    assert.equal(exactJson(toPlain(readJson(TEXT))), TEXT)
    const plain = { a: [1, 'x"\\', null, undefined], b: undefined, c: { d: true } }
    assert.equal(exactJson(plain), JSON.stringify(plain))
  })

  it('passes through ordinary JSON and back', () => {
    const value = toPlain(readJson(TEXT))
    assert.deepEqual(unpackBigints(packBigints(value)), value)
    assert.deepEqual(unpackBigints('{"$int":"x"}'), { $int: 'x' }, 'what only looks like one')
  })

  it('carries a seed of 64 bits through the workflow firewall', () => {
    const firewall = new WorkflowFirewall({ models: [] })
    const seed = 18446744073709551615n
    const workflow = firewall.check(withInputs(noModel(), '6', { seed }))
    assert.equal(workflow['6']?.inputs['seed'], seed)
    assert.equal(firewall.problems(withInputs(noModel(), '6', { seed: 2n ** 70n })).length, 1)
    assert.equal(firewall.problems(withInputs(noModel(), '2', { width: 96n })).length, 1)
  })
})
