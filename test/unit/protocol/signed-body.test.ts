// What one end hashes and sends, the other reads and hashes to the same: for any payload at all.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  checkBodyHash,
  checkLegacySender,
  defineSynapse,
  legacyRequest,
  parseLegacyHeaders,
  parseRequestBody,
  prepareRequest,
  type RequestInput,
} from 'subreel/protocol'
import { z } from 'zod'

const Everything = defineSynapse({
  name: 'Everything',
  request: z.object({
    text: z.string(),
    int: z.int(),
    big: z.bigint(),
    float: z.number(),
    maybe: z.boolean().optional(),
    list: z.array(z.number()),
    map: z.record(z.string(), z.unknown()),
  }),
  response: z.object({ answer: z.string().default('') }),
  requiredHashFields: ['text', 'int', 'big', 'float', 'maybe', 'list', 'map'],
})

const float = fc.double({ noNaN: true, noDefaultInfinity: true })
const text = fc.string({ unit: 'grapheme' })
/** Whole numbers beyond 2^53 are ints on the wire, and come back as bigint. */
const anything = fc
  .jsonValue({ noUnicodeString: false })
  .map((value) => JSON.parse(JSON.stringify(value), (_, item) => (isLarge(item) ? 0.5 : item)))
const isLarge = (item: unknown) => Number.isInteger(item) && !Number.isSafeInteger(item)
const payloads = fc.record(
  {
    text,
    int: fc.maxSafeInteger(),
    big: fc.bigInt(),
    float,
    maybe: fc.boolean(),
    list: fc.array(float),
    map: fc.dictionary(text, anything),
  },
  { requiredKeys: ['text', 'int', 'big', 'float', 'list', 'map'] },
)

const sender = {
  ip: '1.2.3.4',
  version: 10_005_000,
  nonce: 1_700_000_000_000_000_001n,
  uuid: '00000000-0000-4000-8000-000000000000',
  hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  signature: `0x${'ab'.repeat(64)}`,
}
const receiver = { ip: '5.6.7.8', port: 8091, hotkey: sender.hotkey }

function bagOf(headers: readonly string[]): Record<string, string> {
  const bag: Record<string, string> = {}
  for (let i = 0; i < headers.length; i += 2) bag[headers[i] ?? ''] = headers[i + 1] ?? ''
  return bag
}

/** The request as the other end gets it. */
function sent(payload: RequestInput<typeof Everything>) {
  const prepared = prepareRequest(Everything, payload)
  const { body } = legacyRequest(prepared, { timeoutS: 12, sender, receiver })
  const received = parseRequestBody(Everything, body)
  assert.ok(received.ok, body)
  return { prepared, received: received.value }
}

describe('a request on its way', () => {
  it('keeps its payload and its hash, whatever it holds', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const { prepared, received } = sent(payload)
        assert.equal(checkBodyHash(received, prepared.bodyHash), undefined)
        assert.deepEqual(received.request, prepared.request)
      }),
    )
  })

  it('has another hash when a hashed field is another', () => {
    fc.assert(
      fc.property(payloads, payloads, (one, other) => {
        const { prepared, received } = sent(one)
        const changed = sent({ ...one, text: `${one.text}!` })
        assert.notEqual(checkBodyHash(changed.received, prepared.bodyHash), undefined)
        fc.pre(one.float !== other.float)
        const float = sent({ ...one, float: other.float })
        assert.notEqual(checkBodyHash(received, float.prepared.bodyHash), undefined)
      }),
    )
  })

  it('has headers that say what was signed', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), fc.uuid(), (nonce, uuid) => {
        const prepared = prepareRequest(Everything, {
          text: '',
          int: 0,
          big: 0n,
          float: 0,
          list: [],
          map: {},
        })
        const envelope = { timeoutS: 12, sender: { ...sender, nonce, uuid }, receiver }
        const { headers } = legacyRequest(prepared, envelope)
        const parsed = parseLegacyHeaders(bagOf(headers))
        assert.ok(parsed.ok)
        const complete = checkLegacySender(parsed.value)
        assert.ok(complete.ok)
        assert.deepEqual(complete.value, { ...sender, nonce, uuid, bodyHash: prepared.bodyHash })
      }),
    )
  })
})
