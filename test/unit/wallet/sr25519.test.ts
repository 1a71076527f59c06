// sr25519 verification against two others: polkadot-js, and schnorrkel itself, which panics on what is malformed.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { ristretto255 } from '@noble/curves/ed25519.js'
import { Keyring } from '@polkadot/keyring'
import { cryptoWaitReady, sr25519Verify } from '@polkadot/util-crypto'
import { sr25519_verify } from '@polkadot-labs/schnorrkel-wasm'
import { SeededRng } from '#src/lib/rng.js'
import { pairFromSeed, signSr25519 } from '#src/wallet/schnorrkel.js'
import { Sr25519Verifier, verifySr25519 } from '#src/wallet/sr25519.js'
import { NO_SLOT, Sr25519Module } from '#src/wallet/sr25519-module.js'

await cryptoWaitReady()

/** Printed by scripts/build-sr25519.mjs. */
const SHA256 = '63670b28c109e45389a503ae18c4519e553d87bb501ec2d6a41c7921f1ea467b'
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
const PRIME = 2n ** 255n - 19n
const MARK = 0x80
const rng = new SeededRng('sr25519')

const littleEndian = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
const toNumber = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
/** A signature of R and s, marked. */
function signatureOf(r: Uint8Array, s: bigint): Uint8Array {
  const signature = Uint8Array.from([...r, ...littleEndian(s)])
  signature[63] = (signature[63] ?? 0) | MARK
  return signature
}
function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes)
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return flipped
}

const makeKey = () => {
  const { publicKey, secret } = pairFromSeed(rng.bytes(32))
  return { publicKey, sign: (message: Uint8Array) => signSr25519(publicKey, secret, message) }
}

interface Case {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

const module = new Sr25519Module()

/** The answer, which must be the same with the key's table, with another's and without. */
function ask({ publicKey, message, signature }: Case): boolean {
  const plain = module.verify(publicKey, message, signature)
  if (module.learn(publicKey, 0)) {
    assert.equal(module.verify(publicKey, message, signature, 0), plain, 'with a table')
  }
  assert.equal(module.verify(publicKey, message, signature, 1), plain, "with another key's table")
  return plain
}

function polkadot({ publicKey, message, signature }: Case): boolean {
  try {
    return sr25519Verify(message, signature, publicKey)
  } catch {
    return false // it throws for what cannot be decoded
  }
}

const alice = makeKey()
const text = Buffer.from('1700000000000000000.5Alice.5Bob.uuid.hash')
const good: Case = { publicKey: alice.publicKey, message: text, signature: alice.sign(text) }
module.learn(makeKey().publicKey, 1)

describe('the module of sr25519', () => {
  it('is the one that was reviewed', () => {
    const file = readFileSync('native/sr25519/sr25519.wasm')
    assert.equal(createHash('sha256').update(file).digest('hex'), SHA256)
  })

  it('accepts what schnorrkel and polkadot-js accept, and refuses any change', () => {
    let key = alice
    for (let i = 0; i < 2000; i += 1) {
      if (i % 20 === 0) key = makeKey()
      const message = rng.bytes(rng.int(300))
      const made: Case = { publicKey: key.publicKey, message, signature: key.sign(message) }
      assert.equal(ask(made), true)
      assert.equal(module.learn(made.publicKey, 0), true)
      const changed = [
        { ...made, publicKey: flip(made.publicKey, rng.int(256)) },
        { ...made, signature: flip(made.signature, rng.int(256)) },
        { ...made, signature: flip(made.signature, 256 + rng.int(250)) },
        { ...made, signature: flip(made.signature, 506 + rng.int(6)) },
        { ...made, message: Uint8Array.from([...message, rng.int(256)]) },
      ][i % 5] as Case
      assert.equal(ask(changed), false)
      if (i % 5 !== 0 && i % 5 !== 3) {
        assert.equal(sr25519_verify(changed.publicKey, changed.message, changed.signature), false)
      }
      if (i % 100 < 5) {
        // it takes a hundred times as long
        assert.equal(polkadot(made), true)
        assert.equal(polkadot(changed), false)
      }
    }
  })

  it("accepts polkadot-js's signatures", () => {
    const pair = new Keyring({ type: 'sr25519' }).addFromSeed(rng.bytes(32))
    for (let i = 0; i < 20; i += 1) {
      const message = rng.bytes(i * 17)
      assert.ok(ask({ publicKey: pair.publicKey, message, signature: pair.sign(message) }))
    }
  })

  it('refuses every one-bit change of key and signature', () => {
    for (let bit = 0; bit < 768; bit += 1) {
      const changed =
        bit < 512
          ? { ...good, signature: flip(good.signature, bit) }
          : { ...good, publicKey: flip(good.publicKey, bit - 512) }
      assert.equal(ask(changed), false, `bit ${bit}`)
    }
  })

  it('refuses scalars and points that are not canonical, as polkadot-js does', () => {
    const s = toNumber(good.signature.subarray(32)) - 2n ** 255n
    const r = good.signature.subarray(0, 32)
    const basepoint = ristretto255.Point.BASE.toBytes()
    const identity: Uint8Array = new Uint8Array(32)
    /** With the identity as key, R = s·B whatever the message: only encodings can be wrong. */
    const free = (point: Uint8Array, scalar: bigint, publicKey = identity): Case => {
      return { publicKey, message: text, signature: signatureOf(point, scalar) }
    }
    const negated = littleEndian(PRIME - toNumber(basepoint))
    const cases: Record<string, Case> = {
      'the scalar plus the order': { ...good, signature: signatureOf(r, s + ORDER) },
      'the scalar plus four orders': { ...good, signature: signatureOf(r, s + 4n * ORDER) },
      'the order': free(identity, ORDER),
      'the largest scalar': free(identity, 2n ** 255n - 1n),
      'no mark': { ...good, signature: Uint8Array.from([...r, ...littleEndian(s)]) },
      'R as the prime, for zero': free(littleEndian(PRIME), 0n),
      'R with its top bit set': free(flip(basepoint, 255), 1n),
      'R negated': free(negated, 1n),
      'a key as the prime, for zero': free(identity, 0n, littleEndian(PRIME)),
      'a key with its top bit set': { ...good, publicKey: flip(good.publicKey, 255) },
      'a key of ones': { ...good, publicKey: new Uint8Array(32).fill(255) },
      'a key of zeros, signature of another': { ...good, publicKey: identity },
    }
    for (const [name, made] of Object.entries(cases)) {
      assert.equal(ask(made), false, name)
      assert.equal(polkadot(made), false, name)
    }
    for (const made of [free(identity, 0n), free(basepoint, 1n)]) {
      assert.equal(ask(made), sr25519_verify(identity, text, made.signature))
    }
    for (const scalar of [ORDER - 1n, 2n ** 252n]) {
      const point = ristretto255.Point.BASE.multiply(scalar).toBytes()
      assert.equal(
        ask(free(point, scalar)),
        sr25519_verify(identity, text, free(point, scalar).signature),
      )
    }
  })

  it('knows no points of small order', () => {
    const torsion = [
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0000000000000000000000000000000000000000000000000000000000000080',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    ]
    for (const encoding of torsion.map((hex) => Buffer.from(hex, 'hex'))) {
      for (const r of [encoding, new Uint8Array(32)]) {
        const made = { publicKey: encoding, message: text, signature: signatureOf(r, 0n) }
        assert.equal(ask(made), false, encoding.toString('hex'))
        assert.equal(polkadot(made), false, encoding.toString('hex'))
      }
    }
  })

  it('takes messages from none to megabytes, in any order', () => {
    for (const length of [0, 2 ** 20, 1, 5 * 2 ** 20, 0, 65_536, 65_537, 165, 166, 167]) {
      const message = rng.bytes(length)
      const made = { publicKey: alice.publicKey, message, signature: alice.sign(message) }
      assert.equal(ask(made), true, `${length} bytes`)
      if (length > 0) {
        assert.equal(ask({ ...made, message: flip(message, 8 * length - 1) }), false)
      }
      if (length <= 2 ** 20) assert.equal(polkadot(made), true, `${length} bytes`)
    }
  })

  it('has an answer for any bytes and any slot', () => {
    for (let i = 0; i < 500; i += 1) {
      const slot = rng.int(2 ** 32)
      assert.equal(module.verify(rng.bytes(32), rng.bytes(i), rng.bytes(64), slot), false)
      if (slot >= module.slots) assert.equal(module.learn(alice.publicKey, slot), false)
    }
    assert.equal(module.verify(good.publicKey, text, good.signature, NO_SLOT), true)
  })
})

describe('the tables of keys', () => {
  it('are made for keys whose signatures hold, the second time', () => {
    const verifier = new Sr25519Verifier()
    const check = ({ publicKey, message, signature }: Case) =>
      verifier.verify(publicKey, message, signature)
    const forged = { ...good, signature: flip(good.signature, 9) }
    for (let i = 0; i < 5; i += 1) assert.equal(check(forged), false)
    assert.equal(check(good), true)
    for (let i = 0; i < 5; i += 1) assert.equal(check(forged), false)
    assert.equal(verifier.tables, 0)
    assert.equal(check(good), true)
    assert.equal(verifier.tables, 1)
    assert.deepEqual([check(good), check(forged)], [true, false])
  })

  it('are bounded, stay with busy keys and pass on from idle ones', () => {
    const verifier = new Sr25519Verifier()
    const check = ({ publicKey, message, signature }: Case, wanted = true) =>
      assert.equal(verifier.verify(publicKey, message, signature), wanted)
    const made = Array.from({ length: module.slots + 44 }, () => {
      const key = makeKey()
      return { publicKey: key.publicKey, message: text, signature: key.sign(text) }
    })
    for (let round = 0; round < 4; round += 1) for (const one of made) check(one)
    assert.equal(verifier.tables, module.slots)
    for (const one of made) check({ ...one, signature: flip(one.signature, 300) }, false)
    const tabled = () => made.filter(({ publicKey }) => verifier.has(publicKey))
    const before = tabled()
    const last = made.at(-1) as Case
    assert.deepEqual(before, made.slice(0, module.slots))
    for (let i = 0; i < 4 * module.slots && !verifier.has(last.publicKey); i += 1) check(last)
    const after = tabled()
    assert.equal(after.at(-1), last)
    assert.equal(after.filter((one) => before.includes(one)).length, module.slots - 1)
    assert.equal(verifier.tables, module.slots)
    for (const one of made) check(one)
  })

  it('survive a check that ran out of stack', () => {
    const { publicKey, message, signature } = good
    const deep = (): boolean => {
      try {
        return deep()
      } catch {
        return verifySr25519(publicKey, message, signature)
      }
    }
    deep()
    assert.equal(verifySr25519(publicKey, message, signature), true)
  })
})
