import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as polkadot from '@polkadot/util-crypto'
import fc from 'fast-check'
import { decodeAddress, encodeAddress, parseAddress, sameKey } from 'subreel/wallet'

const ALICE = '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY'

describe('ss58', () => {
  it('agrees with polkadot-js for every prefix form, both ways', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        // 46 and 47 are reserved by the registry and refused by polkadot-js.
        fc.integer({ min: 0, max: 16_383 }).filter((prefix) => prefix !== 46 && prefix !== 47),
        (key, prefix) => {
          const text = encodeAddress(key, prefix)
          assert.equal(text, polkadot.encodeAddress(key, prefix))
          assert.deepEqual(parseAddress(text), { publicKey: key, prefix })
        },
      ),
      { numRuns: 200 },
    )
  })

  it('refuses any one changed character', () => {
    for (let i = 0; i < ALICE.length; i += 1) {
      const changed = `${ALICE.slice(0, i)}${ALICE[i] === 'x' ? 'y' : 'x'}${ALICE.slice(i + 1)}`
      assert.ok('why' in parseAddress(changed), `character ${i}`)
    }
  })

  it('refuses what is no address without doing work for its length', () => {
    for (const text of [
      '',
      '1',
      '0'.repeat(48),
      'l'.repeat(48),
      '5'.repeat(1_000_000),
      'É'.repeat(48),
    ]) {
      assert.ok('why' in parseAddress(text), text.slice(0, 20))
    }
    assert.throws(() => decodeAddress('nonsense'), { code: 'WALLET_ADDRESS_INVALID' })
  })

  it('knows one key under two prefixes', () => {
    const other = encodeAddress(decodeAddress(ALICE), 0)
    assert.notEqual(other, ALICE)
    assert.ok(sameKey(ALICE, other))
    assert.ok(!sameKey(ALICE, 'nonsense'))
  })
})
