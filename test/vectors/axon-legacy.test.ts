// Source: bittensor 10.5.0, test/fixtures/wire/legacy-requests.json, replayed through the whole axon.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AxonOptions, createAxon, MemoryNonceStore, serve } from 'subreel/axon'
import { type AnySynapse, STRICT_NONCES } from 'subreel/protocol'
import { FixedClock, KEYS, PeerMap } from '../support/axon.js'
import {
  type RequestVector,
  readFixture,
  VECTOR_SYNAPSES,
  type WireRequest,
} from '../support/wire-vectors.js'

const file = readFixture<{ requests: RequestVector[]; variants: RequestVector[] }>(
  'legacy-requests.json',
)

/** What Python takes and this axon does too, why, and the option with which it does not. */
const LENIENT: ReadonlyMap<string, Partial<AxonOptions>> = new Map<string, Partial<AxonOptions>>([
  // The synapse hashes no field, so nothing says that its body was changed.
  ['tampered_body_unhashed_synapse', { requireBodyHash: true }],
  // Two dendrites of one hotkey have nonces of their own.
  ['nonce_backwards_other_uuid', { nonces: { ...STRICT_NONCES, acrossUuids: true } }],
])

/** Refusals with another status than Python's. */
const STATUS: Readonly<Record<string, number>> = {
  // What is no address is not registered either, and that is asked first.
  hotkey_not_ss58: 403,
  // No redirect: following it would only be refused as a replay.
  trailing_slash: 404,
}

function handle(definition: AnySynapse) {
  return (request: Record<string, unknown>): Record<string, unknown> => {
    if (definition.name === 'TaskWarrantProtocol') return { warrant_task: 2 }
    return request['prompt'] === undefined ? {} : { result: 'done' }
  }
}

function axonAt(clockNs: string, options: Partial<AxonOptions> = {}) {
  const peers = new PeerMap()
  for (const name of ['alice', 'bob', 'dave', 'eve', 'ferdie'] as const) peers.add(KEYS[name])
  peers.add({
    address: '5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu' as typeof KEYS.bob.address,
  })
  peers.add({ address: 'not-an-address' as typeof KEYS.bob.address })
  return createAxon({
    wallet: KEYS.bob,
    peers,
    synapses: [...VECTOR_SYNAPSES.values()].map((definition) =>
      serve({
        definition,
        handler: handle(definition),
        priority: ({ hotkey }) => {
          if (hotkey === KEYS.dave.address) throw new DOMException('slow', 'TimeoutError')
          if (hotkey === KEYS.eve.address) throw new Error('priority failed')
          return 0
        },
      }),
    ),
    clock: new FixedClock(clockNs),
    nonceStore: new MemoryNonceStore({ retentionMs: 60_000 }),
    ...options,
  })
}

async function replay(vector: RequestVector, options: Partial<AxonOptions> = {}) {
  const axon = axonAt(vector.clock_ns, options)
  const send = (request: WireRequest) => {
    const headers: Record<string, string> = {}
    for (const [name, value] of request.headers) headers[name.toLowerCase()] = value
    const { filler } = vector
    if (filler !== undefined) headers[filler.header] = filler.char.repeat(filler.count)
    return axon.inject({
      method: request.method as 'POST',
      url: request.path,
      headers,
      payload: request.body,
    })
  }
  try {
    for (const prior of vector.prior ?? []) {
      assert.equal((await send(prior)).statusCode, 200, `prior of ${vector.id}`)
    }
    return await send(vector)
  } finally {
    await axon.close()
  }
}

describe('an axon and the legacy vectors of bittensor 10.5.0', () => {
  it('has all 91 of them', () => {
    assert.equal(file.requests.length + file.variants.length, 91)
  })

  // A head that long never gets past Node's parser: test/e2e/axon-abuse has it on a socket.
  const onSocket = new Set(['oversize_header_1000000'])
  for (const vector of [...file.requests, ...file.variants]) {
    if (onSocket.has(vector.id)) continue
    const { verdict, stricter_ok: stricterOk } = vector.expect
    const accept = verdict === 'accept' && (stricterOk !== true || LENIENT.has(vector.id))
    it(`${accept ? 'accepts' : 'refuses'} ${vector.id}`, async () => {
      const response = await replay(vector)
      const seen = `${response.statusCode} ${response.body}`
      if (accept) {
        assert.equal(response.statusCode, 200, seen)
        assert.equal(response.headers['bt_header_axon_status_code'], '200')
        const body = response.json()
        assert.deepEqual([body.name, body.axon.status_code], [vector.synapse ?? 'Synapse', 200])
        return
      }
      assert.ok(response.statusCode >= 400, seen)
      assert.ok(Buffer.byteLength(response.body) <= 200, seen)
      assert.equal(typeof response.json().message, 'string')
      if (verdict === 'reject') {
        assert.equal(response.statusCode, STATUS[vector.id] ?? vector.expect.status, seen)
      }
    })
  }

  for (const [id, options] of LENIENT) {
    it(`refuses ${id} when told to`, async () => {
      const vector = file.variants.find((candidate) => candidate.id === id)
      assert.ok(vector)
      assert.ok((await replay(vector, options)).statusCode >= 400)
    })
  }
})
