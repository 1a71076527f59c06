import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { encodeTimelockPayload } from '#src/chain/scale.js'
import {
  fromEnvelope,
  open,
  QUICKNET_PUBLIC_KEY,
  seal,
  toEnvelope,
  verifyRound,
} from '#src/chain/timelock.js'
import { must } from '#src/lib/errors.js'
import { SystemRng } from '#src/lib/rng.js'

// Golden: drand quicknet's published rounds; bittensor_drand 2.0.0 ciphertexts.
const load = <T>(name: string): T =>
  JSON.parse(
    readFileSync(new URL(`../../../test/fixtures/timelock/${name}`, import.meta.url), 'utf8'),
  )
const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const quicknet = load<{ public_key: string; rounds: { round: number; signature: string }[] }>(
  'quicknet.json',
)
const signatureOf = (round: number) =>
  must(
    quicknet.rounds.find((item) => item.round === round),
    `round ${round}`,
  ).signature

describe('timelock against drand quicknet and bittensor_drand 2.0.0', () => {
  it('knows the public key under which the published rounds verify', () => {
    assert.equal(QUICKNET_PUBLIC_KEY, quicknet.public_key)
    for (const { round, signature } of quicknet.rounds) {
      assert.ok(verifyRound(round, signature), `round ${round}`)
    }
    assert.ok(!verifyRound(1001, signatureOf(1000)), 'another round')
  })

  it('opens every sealed vector and rebuilds its envelope', () => {
    const sealed = load<{ round: number; plaintext: string; ciphertext: string }[]>('sealed.json')
    assert.ok(sealed.length > 0)
    sealed.forEach((item, i) => {
      const envelope = fromEnvelope(hex(item.ciphertext))
      assert.equal(envelope.round, item.round, `case ${i}`)
      assert.equal(
        toHex(open(envelope.sealed, signatureOf(item.round))),
        item.plaintext,
        `case ${i}`,
      )
      assert.equal(toHex(toEnvelope(envelope.sealed, envelope.round)), item.ciphertext, `case ${i}`)
    })
  })

  it('opens the ten Python commits to the payload we encode', () => {
    const commits =
      load<
        {
          inputs: { uids: number[]; weights: number[]; version_key: number; hotkey: string }
          reveal_round: number
          commit: string
          payload: string
        }[]
      >('commits.json')
    assert.equal(commits.length, 10)
    commits.forEach((item, i) => {
      const { uids, weights, version_key: version, hotkey } = item.inputs
      const payload = encodeTimelockPayload(hex(hotkey), uids, weights, BigInt(version))
      assert.equal(toHex(payload), item.payload, `case ${i}`)
      const opened = open(hex(item.commit), signatureOf(item.reveal_round))
      assert.equal(toHex(opened), item.payload, `case ${i}`)
    })
  })

  it('seals what the published signatures open, and no other', () => {
    const text = new TextEncoder().encode('weights')
    const sealed = seal(text, 2000, new SystemRng())
    assert.equal(sealed.length, text.length + 244)
    assert.deepEqual(open(sealed, signatureOf(2000)), text)
    assert.throws(() => open(sealed, signatureOf(1000)), { code: 'CHAIN_TIMELOCK_SEALED' })
  })

  it('refuses truncated and altered ciphertexts', () => {
    const sealed = seal(new Uint8Array(9), 1000, new SystemRng())
    const signature = signatureOf(1000)
    for (const length of [0, 95, 100, 150, sealed.length - 1]) {
      assert.throws(
        () => open(sealed.subarray(0, length), signature),
        { code: 'CHAIN_TIMELOCK_MALFORMED' },
        `cut at ${length}`,
      )
    }
    const altered = Uint8Array.from(sealed)
    altered[200] = (altered[200] ?? 0) ^ 1
    assert.throws(() => open(altered, signature), { code: 'CHAIN_TIMELOCK_SEALED' })
  })
})
