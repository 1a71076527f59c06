import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  headerSafe,
  PyFloat,
  parseBtauthHeaders,
  parseLegacyHeaders,
  prepareRequest,
  pyRepr,
  pyStr,
  readJson,
  SYNAPSES,
  toPlain,
  writeJson,
} from 'subreel/protocol'

const jsonValue = fc.jsonValue({ noUnicodeString: false })

describe('lossless JSON', () => {
  it('agrees with JSON.parse on every JSON text, ints beyond 2^53 apart', () => {
    fc.assert(
      fc.property(jsonValue, fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const ours = JSON.stringify(toPlain(readJson(text)), (_, item) =>
          typeof item === 'bigint' ? Number(item) : item,
        )
        assert.equal(ours, JSON.stringify(JSON.parse(text)))
      }),
    )
  })

  it('writes what it read', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        const read = readJson(JSON.stringify(value))
        assert.deepEqual(readJson(writeJson(read)), read)
      }),
    )
  })

  it('keeps ints of any size and tells 1 from 1.0', () => {
    fc.assert(
      fc.property(fc.bigInt(), (value) => {
        assert.equal(writeJson(readJson(String(value))), String(value))
      }),
    )
    assert.equal(writeJson(readJson('[1,1.0,-0.0,1e22]')), '[1,1.0,-0.0,1e+22]')
  })

  it('keeps the order of keys that look like numbers', () => {
    assert.equal(writeJson(readJson('{"b":1,"10":2,"9":3}')), '{"b":1,"10":2,"9":3}')
  })

  it('keeps a hostile __proto__ as data', () => {
    const plain = toPlain(readJson('{"__proto__":{"admin":true}}')) as Record<string, unknown>
    assert.equal(plain['admin'], undefined)
    assert.deepEqual(Object.keys(plain), ['__proto__'])
  })

  it('fails with its own error, and nothing else, on any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          readJson(text)
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'PROTOCOL_JSON_INVALID')
        }
      }),
    )
  })

  it('refuses what would exhaust the stack, and ints no Python reads', () => {
    for (const text of [
      '['.repeat(100_000),
      '1'.repeat(4301),
      '"\\ud800"',
      '{"a":1,}',
      '01',
      '1 2',
    ]) {
      assert.throws(() => readJson(text), { code: 'PROTOCOL_JSON_INVALID' }, text.slice(0, 20))
    }
  })
})

describe("Python's str()", () => {
  it('prints floats so that they read back the same', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = pyStr(new PyFloat(value))
        assert.ok(/[.e]/.test(text), text)
        assert.ok(Object.is(Number(text), value), `${text} for ${value}`)
      }),
    )
  })

  it('never leaves a control character or an unescaped quote in a repr', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const repr = pyRepr(text)
        assert.ok(!/\p{Cc}/u.test(repr), repr)
        const quote = repr.charAt(0)
        const inner = repr.slice(1, -1).replace(/\\./gsu, '')
        assert.ok(!inner.includes(quote), repr)
      }),
    )
  })
})

describe('headers', () => {
  const junk = fc.dictionary(
    fc.constantFrom(
      'timeout',
      'name',
      'bt_header_dendrite_nonce',
      'bt_header_dendrite_version',
      'bt_header_axon_port',
      'x-bittensor-version',
      'x-bittensor-nonce',
      'x-bittensor-signature',
    ),
    fc.string({ unit: 'binary' }),
  )

  it('gives a verdict on any headers and throws on none', () => {
    fc.assert(
      fc.property(junk, (headers) => {
        assert.equal(typeof parseLegacyHeaders(headers).ok, 'boolean')
        assert.equal(typeof parseBtauthHeaders(headers).ok, 'boolean')
      }),
    )
  })

  it('makes any text safe for a header and for JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const safe = headerSafe(text)
        assert.match(safe, /^[ !#-[\]-~]{0,180}$/)
        assert.equal(JSON.stringify(safe).length, safe.length + 2)
      }),
    )
  })
})

describe('synapses', () => {
  it('have distinct names, and only AudioTask has a required field', () => {
    assert.equal(new Set(SYNAPSES.map(({ name }) => name)).size, SYNAPSES.length)
    const required = SYNAPSES.filter(({ requiredFields }) => requiredFields.length > 0)
    assert.deepEqual(
      required.map(({ name, requiredFields }) => [name, requiredFields]),
      [['AudioTask', ['input_data']]],
    )
  })

  it('are refused by a coded error when the payload does not fit', () => {
    for (const definition of SYNAPSES) {
      if (!definition.name.startsWith('Video') || definition.name.endsWith('Task')) continue
      assert.throws(
        () => prepareRequest(definition, {}),
        { code: 'PROTOCOL_PAYLOAD_INVALID' },
        definition.name,
      )
    }
  })
})
