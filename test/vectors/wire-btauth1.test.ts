// Source: bittensor 11.3.0, test/fixtures/wire/btauth1.json.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import {
  cryptoWaitReady,
  decodeAddress,
  ed25519PairFromSeed,
  ed25519Sign,
  ed25519Verify,
  keyExtractSuri,
  keyFromPath,
  mnemonicToMiniSecret,
  sr25519Verify,
} from '@polkadot/util-crypto'
import {
  BTAUTH_DEFAULTS,
  btauthHeaders,
  btauthPayload,
  btauthReplayKey,
  checkBtauth,
  parseBtauthHeaders,
} from 'subreel/protocol'
import {
  AUTH_CODES,
  type AuthRequest,
  type AuthVector,
  headerBag,
  readAuthVectors,
} from '../support/wire-vectors.js'

const file = readAuthVectors()

function judge(vector: AuthVector, request: AuthRequest, seen: Set<string>): string {
  const parsed = parseBtauthHeaders(headerBag(Object.entries(request.headers)))
  if (!parsed.ok) return parsed.fault.code
  const { verify } = vector
  const refused = checkBtauth(
    parsed.value,
    { ownHotkey: verify.self_hotkey_ss58, nowNs: BigInt(verify.now_ns) },
    {
      maxAgeS: verify.max_age_s ?? BTAUTH_DEFAULTS.maxAgeS,
      skewS: verify.allowed_skew_s ?? BTAUTH_DEFAULTS.skewS,
      requireReceiver: verify.require_receiver ?? true,
    },
  )
  if (refused !== undefined) return refused.code
  const { scheme, hotkey, nonce, receiver, signature } = parsed.value
  const payload = btauthPayload({
    scheme,
    method: request.method,
    target: request.path,
    body: Buffer.from(request.body_hex, 'hex'),
    nonce,
    sender: hotkey,
    receiver,
  })
  let publicKey: Uint8Array
  try {
    publicKey = decodeAddress(hotkey)
  } catch {
    return 'auth-malformed'
  }
  const verifySignature = scheme === 'ed25519' ? ed25519Verify : sr25519Verify
  try {
    if (!verifySignature(payload, signature, publicKey)) return 'signature-mismatch'
  } catch {
    return 'signature-mismatch'
  }
  const key = btauthReplayKey(parsed.value)
  if (seen.has(key)) return 'nonce-replayed'
  seen.add(key)
  return 'accepted'
}

describe('btauth/1 vectors of bittensor 11.3.0', () => {
  before(() => cryptoWaitReady())

  it('has all 26 positives, 44 negatives and 18 tolerances', () => {
    const sizes = [file.vectors.length, file.negative.length, file.tolerance.length]
    assert.deepEqual(sizes, [26, 44, 18])
  })

  for (const vector of file.vectors) {
    it(`accepts ${vector.id} and builds the same payload and headers`, () => {
      assert.equal(judge(vector, vector, new Set()), 'accepted')
      const parts = {
        scheme: vector.scheme,
        nonce: BigInt(vector.nonce),
        sender: vector.sender_ss58,
        receiver: vector.receiver_ss58 ?? undefined,
      }
      const payload = btauthPayload({
        ...parts,
        method: vector.method,
        target: vector.path,
        body: Buffer.from(vector.body_hex, 'hex'),
      })
      assert.equal(payload, vector.payload_utf8)
      const signature = vector.headers['X-Bittensor-Signature'] ?? ''
      const flat = btauthHeaders({ ...parts, signature })
      const built = Object.fromEntries(
        flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1]]] : [])),
      )
      assert.deepEqual(built, vector.headers)
    })
  }

  it('signs ed25519 byte for byte', () => {
    const exact = file.vectors.filter((vector) => vector.signature_match === 'exact')
    assert.ok(exact.length > 0)
    const phrase = 'bottom drive obey lake curtain smoke basket hold race lonely fit walk'
    for (const vector of exact) {
      const name = vector.id.includes('charlie') ? '//Charlie' : '//Alice'
      const { path } = keyExtractSuri(`${phrase}${name}`)
      const pair = keyFromPath(ed25519PairFromSeed(mnemonicToMiniSecret(phrase)), path, 'ed25519')
      const signature = Buffer.from(ed25519Sign(vector.payload_utf8, pair)).toString('hex')
      assert.equal(`0x${signature}`, vector.headers['X-Bittensor-Signature'], vector.id)
    }
  })

  for (const vector of file.negative) {
    it(`refuses ${vector.id} as ${vector.error}`, () => {
      const seen = new Set<string>()
      for (const prior of vector.prior ?? []) {
        assert.equal(judge(vector, { ...vector, ...prior }, seen), 'accepted', 'prior')
      }
      for (let i = 0; i < vector.accepted_before; i += 1) {
        assert.equal(judge(vector, vector, seen), 'accepted', 'before')
      }
      const result = judge(vector, vector, seen)
      assert.ok(AUTH_CODES[vector.error]?.includes(result), `${result} for ${vector.error}`)
    })
  }

  it('refuses whatever upstream refuses, and of the rest takes canonical form alone', () => {
    const taken = file.tolerance.filter((vector) => judge(vector, vector, new Set()) === 'accepted')
    for (const vector of taken) assert.equal(vector.upstream_result, 'accept', vector.id)
    assert.deepEqual(
      taken.map((vector) => vector.id),
      ['lower-case-names', 'crypto-explicit', 'ss58-prefix-0'],
    )
  })
})
