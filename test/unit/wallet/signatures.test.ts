import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'
import { Keyring } from '@polkadot/keyring'
import * as polkadot from '@polkadot/util-crypto'
import fc from 'fast-check'
import {
  type CryptoScheme,
  createVerifier,
  inlineVerifier,
  seedFromUri,
  signerFromSeed,
  signerFromUri,
  verifySignature,
} from 'subreel/wallet'
import { Secret } from '#src/lib/secret.js'

await polkadot.cryptoWaitReady()
const message = Buffer.from('1700000000000000000.5Alice.5Bob.uuid.hash')
const SCHEMES: readonly CryptoScheme[] = ['sr25519', 'ed25519']
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from(
    Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n)),
  )
}

describe('signers', () => {
  for (const scheme of SCHEMES) {
    it(`derives the ${scheme} keys of secret URIs as polkadot-js does`, () => {
      const keyring = new Keyring({ type: scheme })
      const seed = `0x${'07'.repeat(32)}`
      const long = `//${'a-name-longer-than-thirty-two-bytes-'.repeat(2)}`
      for (const uri of ['//Alice', '//Bob//stash', '//0', '//42//7', long, seed, `${seed}//x`]) {
        const phrase = uri.startsWith('//')
          ? `bottom drive obey lake curtain smoke basket hold race lonely fit walk${uri}`
          : uri
        const wanted = keyring.createFromUri(phrase).address
        assert.equal(signerFromUri(uri, { scheme }).address, wanted, uri)
      }
    })

    it(`makes ${scheme} signatures that polkadot-js accepts, and accepts its`, () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ minLength: 32, maxLength: 32 }),
          fc.uint8Array({ maxLength: 300 }),
          (seed, text) => {
            const signer = signerFromSeed(new Secret(seed), scheme)
            const pair = new Keyring({ type: scheme }).addFromSeed(seed)
            assert.equal(signer.address, pair.address)
            assert.ok(pair.verify(text, signer.sign(text), pair.publicKey))
            const signature = pair.sign(text)
            assert.ok(
              verifySignature({ scheme, publicKey: signer.publicKey, message: text, signature }),
            )
          },
        ),
        { numRuns: 15 },
      )
    })
  }

  it('prints no secret when inspected or serialised', () => {
    for (const scheme of SCHEMES) {
      const seed = Buffer.from(seedFromUri('//Alice', scheme).reveal())
      const signer = signerFromUri('//Alice', { scheme })
      const seen = inspect(signer, { depth: 9, showHidden: true }) + JSON.stringify(signer)
      assert.ok(!seen.includes(seed.toString('hex')), scheme)
      assert.ok(!seen.includes(seed.subarray(0, 8).join(',')), scheme)
    }
  })

  it('refuses development keys on a chain that is not local', () => {
    const use = (chainEndpoint: string) => () => signerFromUri('//Alice', { chainEndpoint })
    for (const far of [
      'wss://entrypoint-finney.opentensor.ai:443',
      'ws://8.8.8.8:9944',
      'finney.io',
      'ws://localhost.evil.com',
    ]) {
      assert.throws(use(far), { code: 'WALLET_DEV_KEY_REFUSED' }, far)
    }
    for (const near of [
      'ws://127.0.0.1:9944',
      'ws://localhost:9944',
      'ws://chain:9944',
      'ws://[::1]:9944',
      'ws://192.168.1.4:9944',
    ]) {
      assert.ok(use(near)().address, near)
    }
  })

  it('refuses secret URIs with soft junctions, phrases or nothing', () => {
    for (const uri of ['', '/soft', '//Alice/soft', 'bottom drive obey', '0x12//a', '//']) {
      assert.throws(() => signerFromUri(uri), { code: 'WALLET_URI_INVALID' }, uri)
    }
  })
})

/** polkadot-js throws for what cannot be decoded. */
function reference(signature: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return polkadot.sr25519Verify(message, signature, publicKey)
  } catch {
    return false
  }
}

describe('verification', () => {
  const sr = signerFromUri('//Alice')
  const good = sr.sign(message)
  const pool = createVerifier({ threads: 2 })
  after(() => pool.close())

  const ask = (publicKey: Uint8Array, signature: Uint8Array) =>
    verifySignature({ scheme: 'sr25519', publicKey, message, signature })

  it('agrees with polkadot-js on every one-bit change of a signature and key', () => {
    for (let bit = 0; bit < 96 * 8; bit += 7) {
      const signature = Uint8Array.from(good)
      const publicKey = Uint8Array.from(sr.publicKey)
      const [target, at] = bit < 512 ? [signature, bit] : [publicKey, bit - 512]
      target[at >> 3] = (target[at >> 3] ?? 0) ^ (1 << (at & 7))
      assert.equal(ask(publicKey, signature), false, `bit ${bit}`)
      assert.equal(reference(signature, publicKey), false, `bit ${bit}`)
    }
    assert.equal(ask(sr.publicKey, good), true)
  })

  it('answers false, quietly, for malformed keys and signatures', (t) => {
    const printed = t.mock.method(console, 'error', () => {})
    const scalars = [ORDER - 1n, ORDER, ORDER + 1n, 2n ** 255n - 1n, 2n ** 252n, 0n]
    for (const scalar of scalars) {
      const signature = Uint8Array.from([...good.subarray(0, 32), ...littleEndian(scalar)])
      signature[63] = (signature[63] ?? 0) | 0x80
      assert.equal(ask(sr.publicKey, signature), false, `scalar ${scalar}`)
    }
    const unmarked = Uint8Array.from(good)
    unmarked[63] = (unmarked[63] ?? 0) & 0x7f
    for (const [publicKey, signature] of [
      [sr.publicKey, unmarked],
      [sr.publicKey, good.subarray(1)],
      [sr.publicKey, new Uint8Array(64)],
      [sr.publicKey, new Uint8Array(64).fill(255)],
      [sr.publicKey.subarray(1), good],
      [new Uint8Array(32).fill(255), good],
      [new Uint8Array(32), good],
      [new Uint8Array(0), new Uint8Array(0)],
    ] as const) {
      assert.equal(ask(publicKey, signature), false)
      const ed = { scheme: 'ed25519', publicKey, message, signature } as const
      assert.equal(verifySignature(ed), false)
    }
    assert.equal(printed.mock.callCount(), 0)
    assert.equal(ask(sr.publicKey, good), true)
  })

  it('gives the same answers from a pool of threads, in any number at once', async () => {
    const signer = signerFromUri('//Bob', { scheme: 'ed25519' })
    const inputs = Array.from({ length: 100 }, (_, i) => {
      const text = Buffer.from(`message ${i}`)
      const by = i % 3 === 0 ? signer : sr
      const signature = by.sign(i % 2 === 0 ? text : message)
      return { scheme: by.scheme, publicKey: by.publicKey, message: text, signature }
    })
    const answers = await Promise.all(inputs.map((input) => pool.verify(input)))
    assert.deepEqual(
      answers,
      inputs.map((input) => inlineVerifier.verify(input)),
    )
    assert.deepEqual(answers.slice(0, 4), [true, false, true, false])
  })

  it('rejects what still waits when the pool closes', async () => {
    const closing = createVerifier({ threads: 1 })
    const input = { scheme: 'sr25519', publicKey: sr.publicKey, message, signature: good } as const
    const waiting = assert.rejects(async () => closing.verify(input), {
      code: 'WALLET_VERIFIER_CLOSED',
    })
    await closing.close()
    await waiting
    await assert.rejects(async () => closing.verify(input), { code: 'WALLET_VERIFIER_CLOSED' })
  })
})
