// Source: bittensor 11.3.0, test/fixtures/wire/btauth1.json, put to the axon's gate. The paths of the
// vectors are no synapses, so the gate is asked, not the whole server.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MemoryNonceStore, type Peer, serve } from 'subreel/axon'
import { BTAUTH_DEFAULTS, type FaultCode, type Hotkey, Ping, toUid } from 'subreel/protocol'
import { Gate, isRefusal } from '#src/axon/gate.js'
import { withDefaults } from '#src/axon/options.js'
import { FixedClock } from '../support/axon.js'
import {
  AUTH_CODES,
  type AuthRequest,
  type AuthVector,
  headerBag,
  readAuthVectors,
} from '../support/wire-vectors.js'

const file = readAuthVectors()

/** Unusual encodings that are canonical all the same. */
const CANONICAL: ReadonlySet<string> = new Set(['lower-case-names', 'crypto-explicit'])

const route = serve({ definition: Ping, handler: () => ({}) })

function gateOf({ verify }: AuthVector): Gate {
  const anybody = (hotkey: string): Peer => ({
    hotkey: hotkey as Hotkey,
    uid: toUid(0),
    stake: 0,
    validatorPermit: true,
  })
  return new Gate(
    withDefaults({
      wallet: { address: verify.self_hotkey_ss58 as Hotkey },
      peers: { lookup: anybody },
      synapses: [route],
      clock: new FixedClock(verify.now_ns),
      btauth: { ...BTAUTH_DEFAULTS, requireReceiver: verify.require_receiver ?? true },
      nonceStore: new MemoryNonceStore({ retentionMs: 60_000 }),
    }),
  )
}

async function ask(gate: Gate, request: AuthRequest): Promise<FaultCode | 'accepted'> {
  const head = {
    method: request.method,
    target: request.path,
    headers: {
      ...headerBag(Object.entries(request.headers)),
      'content-type': 'application/json',
    },
    address: '127.0.0.1',
  }
  const claim = await gate.screen(route, head)
  if (isRefusal(claim)) return claim.fault.code
  const refusal = await gate.verify(claim, head, Buffer.from(request.body_hex, 'hex'))
  return refusal?.fault.code ?? 'accepted'
}

describe('an axon and the btauth/1 vectors of bittensor 11.3.0', () => {
  it('has all 88 of them', () => {
    assert.equal(file.vectors.length + file.negative.length + file.tolerance.length, 88)
  })

  for (const vector of file.vectors) {
    it(`accepts ${vector.id} once`, async () => {
      const gate = gateOf(vector)
      assert.equal(await ask(gate, vector), 'accepted')
      assert.equal(await ask(gate, vector), 'nonce-replayed')
    })
  }

  for (const vector of file.negative) {
    it(`refuses ${vector.id} as ${vector.error}`, async () => {
      const gate = gateOf(vector)
      for (let i = 0; i < vector.accepted_before; i += 1) {
        assert.equal(await ask(gate, vector), 'accepted')
      }
      for (const prior of vector.prior ?? []) {
        assert.equal(await ask(gate, { ...vector, ...prior }), 'accepted')
      }
      const code = await ask(gate, vector)
      const wanted = AUTH_CODES[vector.error] ?? []
      assert.ok(wanted.includes(code), code)
    })
  }

  for (const vector of file.tolerance) {
    const accept = CANONICAL.has(vector.id)
    it(`${accept ? 'accepts' : 'refuses'} ${vector.id}`, async () => {
      const code = await ask(gateOf(vector), vector)
      if (accept) assert.equal(code, 'accepted')
      else assert.ok(code === 'auth-malformed' || code === 'signature-mismatch', code)
    })
  }
})
