// Source: bittensor 10.5.0, test/fixtures/wire/legacy-requests.json. What can be judged without a
// socket is judged here; blacklist, priority, methods and paths belong to the axon's own test.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { cryptoWaitReady, decodeAddress, sr25519Verify } from '@polkadot/util-crypto'
import {
  checkBodyHash,
  checkLegacyNonce,
  checkLegacySender,
  checkPlaceholders,
  legacyMessage,
  legacyRequest,
  type NoncePolicy,
  nonceKey,
  PyFloat,
  type PyValue,
  parseLegacyHeaders,
  parseRequestBody,
  prepareRequest,
  STRICT_NONCES,
  UPSTREAM_NONCES,
  type WireFault,
} from 'subreel/protocol'
import {
  headerBag,
  type RequestVector,
  readFixture,
  VECTOR_SYNAPSES,
  type WireRequest,
} from '../support/wire-vectors.js'

const file = readFixture<{ requests: RequestVector[]; variants: RequestVector[] }>(
  'legacy-requests.json',
)

const NEEDS_AXON = new Set([
  'unknown_synapse',
  'wrong_case_path',
  'root_path',
  'trailing_slash',
  'sub_path',
  'put_method',
  'blacklisted',
  'blacklisted_bad_signature',
  'priority_timeout',
  'priority_error',
  'content_type_text',
  'content_type_missing',
  'oversize_header_1000000',
])
const pure = file.variants.filter((vector) => !NEEDS_AXON.has(vector.id))

function verifies(message: string, signature: string, hotkey: string): boolean {
  try {
    return sr25519Verify(message, signature, decodeAddress(hotkey))
  } catch {
    return false
  }
}

/** As toPlain, but floats stay marked as floats, so that `Any` fields can be sent as they came. */
function keepFloats(value: PyValue): unknown {
  if (value === null || typeof value !== 'object' || value instanceof PyFloat) return value
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([key, item]) => [key, keepFloats(item)]))
  }
  return Array.isArray(value) ? value.map(keepFloats) : value
}

function judge(
  vector: RequestVector,
  request: WireRequest,
  nonces: Map<string, bigint>,
  policy: NoncePolicy,
): WireFault | undefined {
  const definition = VECTOR_SYNAPSES.get(vector.synapse)
  assert.ok(definition, vector.synapse)
  const bag = headerBag(request.headers)
  const headers = parseLegacyHeaders(bag)
  if (!headers.ok) return headers.fault
  const missing = checkPlaceholders(definition, bag)
  if (missing !== undefined) return missing
  const sender = checkLegacySender(headers.value)
  if (!sender.ok) return sender.fault
  const { nonce, hotkey, uuid, version, signature, bodyHash } = sender.value
  const key = nonceKey(hotkey, uuid)
  const stale = checkLegacyNonce(
    {
      nonce,
      nowNs: BigInt(vector.clock_ns),
      timeoutS: headers.value.timeoutS,
      version,
      lastNonce: nonces.get(key),
    },
    policy,
  )
  if (stale !== undefined) return stale
  const message = legacyMessage({
    nonce,
    sender: hotkey,
    receiver: vector.receiver_hotkey,
    uuid,
    bodyHash,
  })
  if (!verifies(message, signature, hotkey)) {
    return { code: 'signature-mismatch', status: 401, message: 'Signature mismatch' }
  }
  nonces.set(key, nonce)
  const received = parseRequestBody(definition, request.body)
  if (!received.ok) return received.fault
  return checkBodyHash(received.value, bodyHash)
}

function verdict(vector: RequestVector, policy: NoncePolicy): WireFault | undefined {
  const nonces = new Map<string, bigint>()
  for (const prior of vector.prior ?? []) {
    assert.equal(judge(vector, prior, nonces, policy), undefined, `prior of ${vector.id}`)
  }
  return judge(vector, vector, nonces, policy)
}

describe('legacy request vectors of bittensor 10.5.0', () => {
  before(() => cryptoWaitReady())

  it('has all 15 requests and 76 variants', () => {
    assert.deepEqual([file.requests.length, file.variants.length], [15, 76])
  })

  for (const vector of file.requests) {
    it(`accepts ${vector.id} and signs the same message`, () => {
      assert.equal(verdict(vector, STRICT_NONCES), undefined)
      const headers = parseLegacyHeaders(headerBag(vector.headers))
      assert.ok(headers.ok)
      const { sender, bodyHash } = headers.value
      assert.equal(
        legacyMessage({
          nonce: sender.nonce ?? 0n,
          sender: sender.hotkey ?? '',
          receiver: vector.receiver_hotkey,
          uuid: sender.uuid ?? '',
          bodyHash: bodyHash ?? '',
        }),
        vector.signed_message,
      )
    })

    it(`sends ${vector.id} with the headers Python sends`, () => {
      const definition = VECTOR_SYNAPSES.get(vector.synapse)
      assert.ok(definition)
      const received = parseRequestBody(definition, vector.body)
      const headers = parseLegacyHeaders(headerBag(vector.headers))
      assert.ok(received.ok && headers.ok)
      const { sender, receiver } = headers.value
      const options = received.value.fields.get('options')
      const payload = {
        ...received.value.request,
        ...(options === undefined ? {} : { options: keepFloats(options) }),
      }
      const sent = legacyRequest(prepareRequest(definition, payload), {
        timeoutS: headers.value.timeoutS ?? Number.NaN,
        sender: {
          ip: sender.ip ?? '',
          version: sender.version ?? 0,
          nonce: sender.nonce ?? 0n,
          uuid: sender.uuid ?? '',
          hotkey: sender.hotkey ?? '',
          signature: sender.signature ?? '',
        },
        receiver: {
          ip: receiver.ip ?? '',
          port: receiver.port ?? 0,
          hotkey: receiver.hotkey ?? '',
        },
      })
      const named = (pairs: readonly (readonly [string, string])[]) =>
        pairs.filter(
          ([name]) =>
            (name.includes('_') || name === 'name' || name === 'timeout') &&
            !name.endsWith('_size'),
        )
      const pairs = sent.headers.flatMap((name, i) =>
        i % 2 === 0 ? [[name, sent.headers[i + 1] ?? ''] as const] : [],
      )
      assert.deepEqual(named(pairs), named(vector.headers))
      const again = parseRequestBody(definition, sent.body)
      assert.ok(again.ok)
      assert.deepEqual(again.value.request, received.value.request)
    })
  }

  for (const vector of pure) {
    const mustAccept = vector.expect.verdict === 'accept' && vector.expect.stricter_ok !== true
    const title = mustAccept ? 'accepts' : 'judges'
    it(`${title} ${vector.id} under strict nonces`, () => {
      const refused = verdict(vector, STRICT_NONCES)
      if (mustAccept) assert.equal(refused, undefined)
      if (vector.expect.verdict === 'reject') {
        assert.equal(refused?.status, vector.expect.status)
      }
    })
  }

  it('refuses under strict nonces every stale or undated request that upstream lets through', () => {
    for (const id of [
      'nonce_future_1h',
      'stale_nonce_long_timeout_header',
      'stale_nonce_no_version_header',
      'stale_nonce_version_7_1',
      'missing_version',
      'missing_uuid_signed_as_None',
      'signature_uppercase_hex',
      'signature_bytes_wrapped',
      'body_number_as_string',
    ]) {
      const vector = file.variants.find((candidate) => candidate.id === id)
      assert.ok(vector, id)
      assert.ok(verdict(vector, STRICT_NONCES) !== undefined, id)
    }
  })

  it('takes under upstream nonces what upstream takes, nonce for nonce', () => {
    const ours = new Set(['signature_uppercase_hex', 'signature_bytes_wrapped'])
    const refusedByForm = new Set(['missing_uuid_signed_as_None', 'body_number_as_string'])
    for (const vector of pure) {
      if (ours.has(vector.id) || refusedByForm.has(vector.id)) continue
      const refused = verdict(vector, UPSTREAM_NONCES)
      assert.equal(refused === undefined, vector.expect.verdict === 'accept', vector.id)
    }
  })

  it('says of a stale nonce what Python says', () => {
    for (const id of [
      'stale_nonce',
      'nonce_zero',
      'replayed',
      'missing_nonce',
      'missing_signature',
    ]) {
      const vector = file.variants.find((candidate) => candidate.id === id)
      assert.ok(vector, id)
      assert.equal(verdict(vector, UPSTREAM_NONCES)?.message, vector.expect.status_message, id)
    }
  })
})
