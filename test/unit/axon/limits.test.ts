import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MemoryNonceStore } from 'subreel/axon'
import { TokenBuckets } from '#src/axon/buckets.js'
import { FLOOD_LIMITS, FloodGuard } from '#src/axon/flood-guard.js'
import { refusedAccess } from '#src/axon/gate.js'
import { KEYS, PeerMap } from '../../support/axon.js'

describe('token buckets', () => {
  it('let through the burst, then the rate, never more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 200 }),
        (perSecond, burst, gaps) => {
          const buckets = new TokenBuckets({ perSecond, burst })
          let nowMs = 0
          let taken = 0
          for (const gap of gaps) {
            nowMs += gap
            const free = buckets.waitMs('a', nowMs) === 0
            assert.equal(buckets.take('a', nowMs), free)
            if (free) taken += 1
          }
          assert.ok(taken <= burst + (nowMs / 1000) * perSecond + 1e-6)
        },
      ),
    )
  })

  it('say how long to wait, and are right', () => {
    const buckets = new TokenBuckets({ perSecond: 4, burst: 2 })
    buckets.take('a', 0)
    buckets.take('a', 0)
    assert.equal(buckets.waitMs('a', 0), 250)
    assert.equal(buckets.waitMs('b', 0), 0)
    assert.equal(buckets.take('a', 249), false)
    assert.equal(buckets.take('a', 250), true)
  })

  it('hold a bounded number of keys', () => {
    const buckets = new TokenBuckets({ perSecond: 1, burst: 1 }, 100)
    for (let i = 0; i < 1000; i += 1) buckets.take(`key ${i}`, i)
    assert.ok(buckets.size <= 100)
  })
})

describe('flood guard', () => {
  const limits = {
    forgedPerPair: { perSecond: 1, burst: 2 },
    forgedPerAddress: { perSecond: 1, burst: 5 },
    forgedInAll: { perSecond: 1, burst: 8 },
    refusedPerAddress: { perSecond: 1, burst: 10 },
    shunMs: 10_000,
  }

  it('stops checking a claim that failed too often, and that one alone', () => {
    const guard = new FloodGuard(limits)
    guard.forged('1.1.1.1', 'alice', 0)
    guard.forged('1.1.1.1', 'alice', 0)
    assert.equal(guard.waitMs('1.1.1.1', 'alice', 0), 1000)
    assert.equal(guard.waitMs('1.1.1.1', 'bob', 0), 0)
    assert.equal(guard.waitMs('2.2.2.2', 'alice', 0), 0)
  })

  it('stops an address that forges many hotkeys, but not who proved itself there', () => {
    const guard = new FloodGuard(limits)
    guard.passed('1.1.1.1', 'honest')
    for (let i = 0; i < 5; i += 1) guard.forged('1.1.1.1', `forged ${i}`, 0)
    assert.ok(guard.waitMs('1.1.1.1', 'another', 0) > 0)
    assert.equal(guard.waitMs('1.1.1.1', 'honest', 0), 0)
    assert.equal(guard.waitMs('2.2.2.2', 'another', 0), 0)
  })

  it('stops a flood from many addresses, but not who proved itself', () => {
    const guard = new FloodGuard(limits)
    guard.passed('9.9.9.9', 'honest')
    for (let i = 0; i < 8; i += 1) guard.forged(`1.1.1.${i}`, 'honest', 0)
    assert.ok(guard.waitMs('3.3.3.3', 'honest', 0) > 0)
    assert.equal(guard.waitMs('9.9.9.9', 'honest', 0), 0)
    assert.equal(guard.waitMs('3.3.3.3', 'honest', 1000), 0)
  })
})

describe('flood guard, at the door', () => {
  const refuse = (guard: FloodGuard, times: number) => {
    for (let i = 0; i < times; i += 1) guard.refused('1.1.1.1', 0)
  }

  it('shuns an address that keeps sending what is refused, for a while', () => {
    const guard = new FloodGuard({
      ...FLOOD_LIMITS,
      refusedPerAddress: { perSecond: 1, burst: 10 },
    })
    refuse(guard, 10)
    assert.ok(!guard.shuns('1.1.1.1', 0))
    refuse(guard, 1)
    assert.ok(guard.shuns('1.1.1.1', 0))
    assert.ok(!guard.shuns('2.2.2.2', 0))
    assert.ok(!guard.shuns('1.1.1.1', FLOOD_LIMITS.shunMs))
  })

  it('shuns the network of an IPv6 address, and an IPv4 address however it is written', () => {
    const guard = new FloodGuard({
      ...FLOOD_LIMITS,
      refusedPerAddress: { perSecond: 1, burst: 10 },
    })
    for (let i = 1; i <= 11; i += 1) guard.refused(`2001:db8:0:7::${i.toString(16)}`, 0)
    for (let i = 1; i <= 11; i += 1) guard.refused('::ffff:10.0.0.1', 0)
    assert.ok(guard.shuns('2001:db8:0:7:ffff::1', 0))
    assert.ok(!guard.shuns('2001:db8:0:8::1', 0))
    assert.ok(guard.shuns('10.0.0.1', 0))
    assert.ok(!guard.shuns('10.0.0.2', 0))
  })

  it('never shuns an address where somebody proved who he is', () => {
    const guard = new FloodGuard({
      ...FLOOD_LIMITS,
      refusedPerAddress: { perSecond: 1, burst: 10 },
    })
    guard.passed('1.1.1.1', 'honest')
    refuse(guard, 100)
    assert.ok(!guard.shuns('1.1.1.1', 0))
  })
})

describe('nonces in memory', () => {
  it('accept what rises under a key, and nothing twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.bigInt(0n, 50n))),
        (calls) => {
          const store = new MemoryNonceStore({ retentionMs: 1000 })
          const last = new Map<string, bigint>()
          for (const [key, nonce] of calls) {
            const wanted = nonce > (last.get(key) ?? -1n)
            assert.equal(store.advance(key, nonce, 0), wanted)
            if (wanted) last.set(key, nonce)
          }
        },
      ),
    )
  })

  it('accept a key once', () => {
    const store = new MemoryNonceStore({ retentionMs: 1000 })
    assert.deepEqual([store.once('a:5', 5n, 0), store.once('a:5', 5n, 1)], [true, false])
    assert.equal(store.once('a:4', 4n, 2), true)
  })

  it('forget what has become too old to be accepted again, and not before', () => {
    const store = new MemoryNonceStore({ retentionMs: 1000 })
    store.advance('a', 1n, 0)
    store.advance('b', 2n, 999)
    assert.equal(store.size, 2)
    store.advance('c', 3n, 1001)
    assert.equal(store.lastKnown('a'), 1n)
    store.advance('d', 4n, 1250)
    assert.deepEqual([store.lastKnown('a'), store.lastKnown('b')], [undefined, 2n])
    store.advance('e', 5n, 10_000)
    assert.equal(store.size, 1)
  })

  it('stay bounded under a flood of fresh keys and still take no replay', () => {
    const store = new MemoryNonceStore({ retentionMs: 1_000_000, capacity: 1000 })
    for (let i = 0n; i < 10_000n; i += 1n) assert.ok(store.advance(`key ${i}`, i, 0))
    assert.ok(store.size <= 1000)
    for (let i = 0n; i < 10_000n; i += 1n) assert.ok(!store.advance(`key ${i}`, i, 0), `nonce ${i}`)
  })

  it('refuse after a restart what was signed before it', () => {
    const before = new MemoryNonceStore({ retentionMs: 1000, floor: 100n })
    assert.ok(before.advance('a', 200n, 0))
    const after = new MemoryNonceStore({ retentionMs: 1000, floor: 300n })
    assert.ok(!after.advance('a', 200n, 1))
    assert.ok(!after.once('a:200', 200n, 1))
    assert.ok(after.advance('a', 301n, 1))
  })
})

describe('access', () => {
  const peers = new PeerMap()
    .add(KEYS.alice, { stake: 5, validatorPermit: false })
    .add(KEYS.bob, { stake: 5000 })
  const alice = peers.lookup(KEYS.alice.address)
  const bob = peers.lookup(KEYS.bob.address)

  it('is for the registered unless strangers are allowed', () => {
    assert.equal(refusedAccess(undefined, {}), 'not registered')
    assert.equal(refusedAccess(undefined, { allowUnregistered: true, minStake: 9 }), undefined)
    assert.equal(refusedAccess(alice, {}), undefined)
  })

  it('asks for a permit and for stake when told to', () => {
    assert.equal(refusedAccess(alice, { requireValidatorPermit: true }), 'no validator permit')
    assert.equal(refusedAccess(alice, { minStake: 10 }), 'stake below 10')
    assert.equal(refusedAccess(bob, { minStake: 10, requireValidatorPermit: true }), undefined)
  })
})
