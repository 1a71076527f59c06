// Source: bittensor 10.5.0, test/fixtures/wire/body-hash.json.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { bodyHash, defineSynapse, type PyDict, parseRequestBody, pyStr } from 'subreel/protocol'
import { z } from 'zod'

interface HashCase {
  readonly id: string
  readonly required_hash_fields: readonly string[]
  readonly field_types: Readonly<Record<string, string>>
  readonly json_text: string
  readonly python_str: Readonly<Record<string, string>>
  readonly body_hash: string
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/wire/body-hash.json', import.meta.url), 'utf8'),
) as { cases: HashCase[] }

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  str: z.string(),
  int: z.bigint(),
  float: z.number(),
  bool: z.boolean(),
  'Optional[str]': z.string().optional(),
  'List[int]': z.array(z.int()),
  'List[str]': z.array(z.string()),
  'List[Any]': z.array(z.unknown()),
  'Dict[str, Any]': z.record(z.string(), z.unknown()),
  "<class 'video_synapses.Nested'>": z.object({
    label: z.string().default(''),
    weight: z.number().default(0),
    tags: z.array(z.string()).default([]),
    extra: z.record(z.string(), z.unknown()).optional(),
  }),
  "<class 'video_synapses.Version'>": z.object({
    major: z.int(),
    minor: z.int(),
    patch: z.int(),
  }),
  "<enum 'ContentLength'>": z.literal([5, 10]),
}

describe('body hash vectors of bittensor 10.5.0', () => {
  it('has all 33 cases', () => {
    assert.equal(cases.length, 33)
  })

  for (const vector of cases) {
    it(`hashes ${vector.id}`, () => {
      const shape: Record<string, z.ZodType> = {}
      for (const [field, type] of Object.entries(vector.field_types)) {
        const schema = SCHEMAS[type]
        assert.ok(schema, `no schema for ${type}`)
        shape[field] = schema
      }
      const definition = defineSynapse({
        name: 'Hashed',
        request: z.object(shape),
        response: z.object({}),
        requiredHashFields: vector.required_hash_fields,
      })
      const parsed = parseRequestBody(definition, vector.json_text)
      assert.ok(parsed.ok, parsed.ok ? '' : parsed.fault.message)
      const fields: PyDict = parsed.value.fields
      for (const [field, text] of Object.entries(vector.python_str)) {
        assert.equal(pyStr(fields.get(field) ?? null), text)
      }
      assert.equal(bodyHash(definition.requiredHashFields, fields), vector.body_hash)
    })
  }
})
