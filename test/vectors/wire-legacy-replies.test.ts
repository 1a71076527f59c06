// Source: bittensor 10.5.0, test/fixtures/wire/legacy-responses.json.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type AnySynapse,
  legacyReply,
  type PyDict,
  type PyValue,
  parseLegacyHeaders,
  parseRequestBody,
  prepareReply,
  readJson,
  readLegacyReply,
  toPlain,
} from 'subreel/protocol'
import {
  headerBag,
  type ReplyVector,
  type RequestVector,
  readFixture,
  VECTOR_SYNAPSES,
} from '../support/wire-vectors.js'

const { responses } = readFixture<{ responses: ReplyVector[] }>('legacy-responses.json')
const requests = readFixture<{ requests: RequestVector[]; variants: RequestVector[] }>(
  'legacy-requests.json',
)
const requestOf = (vector: ReplyVector) =>
  [...requests.requests, ...requests.variants].find(({ id }) => id === vector.request_id)

function synapseOf(vector: ReplyVector): AnySynapse {
  const named = /"name":"(\w+)"/.exec(vector.response.body)?.[1]
  const definition = VECTOR_SYNAPSES.get(named ?? 'VideoUpscalingProtocol')
  assert.ok(definition, named)
  return definition
}

const read = (vector: ReplyVector) =>
  readLegacyReply(synapseOf(vector), {
    status: vector.response.status,
    headers: headerBag(vector.response.headers),
    body: vector.response.body,
  })

/** A dict without what differs from run to run or is ours to leave out. */
function comparable(value: PyValue): unknown {
  const plain = toPlain(value) as Record<string, unknown>
  for (const field of ['total_size', 'header_size', 'warrant_tasks']) delete plain[field]
  for (const end of ['axon', 'dendrite']) {
    delete (plain[end] as Record<string, unknown>)['process_time']
  }
  return plain
}

describe('legacy replies of bittensor 10.5.0', () => {
  const whole = responses.filter((vector) => vector.dendrite_result !== undefined)

  it('has the replies of 35 situations', () => {
    assert.deepEqual([responses.length, whole.length], [35, 10])
  })

  for (const vector of whole) {
    it(`reads ${vector.id} as the Python dendrite does`, () => {
      const reading = read(vector)
      assert.equal(reading.status, 200)
      assert.equal(reading.message, 'Success')
      const result = vector.dendrite_result as Record<string, unknown>
      const definition = synapseOf(vector)
      assert.ok(reading.response)
      const ours = toPlain(definition.types.response.encode(reading.response)) as object
      for (const [field, value] of Object.entries(ours)) {
        if (!(field in result)) continue
        for (const [key, item] of Object.entries((value ?? {}) as object)) {
          const expected = (result[field] as Record<string, unknown>)[key]
          if (expected !== undefined) assert.deepEqual(item, expected, `${field}.${key}`)
        }
        if (typeof value !== 'object') assert.deepEqual(value, result[field], field)
      }
    })

    it(`answers ${vector.id} with the body the Python axon sends`, () => {
      const request = requestOf(vector)
      assert.ok(request)
      const definition = synapseOf(vector)
      const parsed = parseRequestBody(definition, request.body)
      const headers = parseLegacyHeaders(headerBag(request.headers))
      const theirs = readJson(vector.response.body) as PyDict
      assert.ok(parsed.ok && headers.ok)
      const response = definition.types.response.decode(theirs) as Record<string, unknown>
      const ours = legacyReply(prepareReply(parsed.value, response), {
        request: headers.value,
        ownHotkey: request.receiver_hotkey,
        processTimeS: 0.25,
      })
      const mine = comparable(readJson(ours.body)) as Record<string, unknown>
      const expected = comparable(theirs) as Record<string, unknown>
      for (const [field, value] of Object.entries(expected)) {
        if (value === null) continue
        if (typeof value === 'object' && !Array.isArray(value)) {
          for (const [key, item] of Object.entries(value)) {
            assert.deepEqual((mine[field] as Record<string, unknown>)[key], item, `${field}.${key}`)
          }
        } else {
          assert.deepEqual(mine[field], value, field)
        }
      }
      const sent = new Map(
        ours.headers.flatMap((name, i) => (i % 2 === 0 ? [[name, ours.headers[i + 1]]] : [])) as [
          string,
          string,
        ][],
      )
      for (const [name, value] of vector.response.headers) {
        if (!name.startsWith('bt_header_') || name.includes('input_obj')) continue
        if (name !== 'bt_header_axon_process_time') assert.equal(sent.get(name), value, name)
      }
    })
  }

  for (const vector of responses.filter(({ response }) => response.status !== 200)) {
    it(`takes ${vector.id} for no success`, () => {
      const reading = read(vector)
      assert.equal(reading.response, undefined)
      const json = vector.response.headers.some(
        ([name, value]) => name === 'content-type' && value === 'application/json',
      )
      // Upstream answers a request without a timeout with `timeout: None`, which it cannot read itself.
      const readable = json && !vector.response.headers.some(([, value]) => value === 'None')
      assert.equal(reading.status, readable ? vector.response.status : 422)
      if (!readable) return
      const message = /^\{"message":"(.*)"\}$/.exec(vector.response.body)?.[1]
      if (message !== undefined) assert.equal(reading.message, message)
    })
  }
})
