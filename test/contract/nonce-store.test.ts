import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Redis } from 'ioredis'
import {
  createAxon,
  MemoryNonceStore,
  type NonceStore,
  nonceRetentionMs,
  RedisNonceStore,
  serve,
} from 'subreel/axon'
import { LengthCheck, prepareRequest } from 'subreel/protocol'
import { KEYS, PeerMap } from '../support/axon.js'
import { TestRedis } from '../support/redis.js'
import { signBtauth, signLegacy } from '../support/signed.js'

let server: TestRedis
let redis: Redis
let stores = 0

before(async () => {
  server = await TestRedis.start({ persistent: false })
  redis = new Redis(server.url, { maxRetriesPerRequest: 0, enableOfflineQueue: false })
  await new Promise((resolve) => redis.once('ready', resolve))
  // The test stops the server on purpose; ioredis reports that here.
  redis.on('error', () => {})
})
after(async () => {
  redis.disconnect()
  await server.close()
})

const kinds: Readonly<Record<string, () => NonceStore>> = {
  memory: () => new MemoryNonceStore({ retentionMs: 60_000 }),
  Redis: () => new RedisNonceStore({ redis, retentionMs: 60_000, prefix: `nonces:${stores++}:` }),
}

for (const [kind, make] of Object.entries(kinds)) {
  describe(`nonces in ${kind}`, () => {
    it('rise under a key, whatever their length', async () => {
      const store = make()
      const calls = [9n, 9n, 8n, 10n, 99n, 100n, 99n, 2n ** 70n, 2n ** 63n]
      const answers: boolean[] = []
      for (const nonce of calls) answers.push(await store.advance('a', nonce, 0))
      assert.deepEqual(answers, [true, false, false, true, true, true, false, true, false])
      assert.equal(await store.advance('b', 1n, 0), true)
      assert.equal(store.lastKnown('a'), 2n ** 70n)
    })

    it('are taken once under keys of their own', async () => {
      const store = make()
      const answers = [await store.once('a:2', 2n, 0), await store.once('a:1', 1n, 0)]
      assert.deepEqual([...answers, await store.once('a:2', 2n, 0)], [true, true, false])
    })

    it('are given to one of many who ask at once', async () => {
      const store = make()
      const won = await Promise.all(
        Array.from({ length: 20 }, async () => store.advance('a', 5n, 0)),
      )
      assert.equal(won.filter(Boolean).length, 1)
    })
  })
}

describe('axons that share nonces through Redis', () => {
  const peers = new PeerMap().add(KEYS.alice)
  const hello = prepareRequest(LengthCheck, {})
  const axonOf = () =>
    createAxon({
      wallet: KEYS.bob,
      peers,
      synapses: [serve({ definition: LengthCheck, handler: () => ({}) })],
      nonceStore: new RedisNonceStore({
        redis,
        retentionMs: nonceRetentionMs(),
        prefix: `nonces:${KEYS.bob.address}:`,
      }),
    })
  const by = () => ({ sender: KEYS.alice, receiver: KEYS.bob.address })

  it('accept a request at one of them alone, and not again after a restart', async () => {
    for (const sign of [signLegacy, signBtauth]) {
      const request = sign(hello, by())
      const [first, second] = [axonOf(), axonOf()]
      assert.equal((await first.inject(request)).statusCode, 200)
      assert.equal((await second.inject(request)).statusCode, 401)
      await Promise.all([first.close(), second.close()])
      assert.equal((await axonOf().inject(request)).statusCode, 401)
    }
  })

  it('refuse rather than take unchecked while Redis is gone', async () => {
    const axon = axonOf()
    const gone = new Promise((resolve) => redis.once('close', resolve))
    await server.kill()
    await gone
    assert.equal((await axon.inject(signLegacy(hello, by()))).statusCode, 503)
    const back = new Promise((resolve) => redis.once('ready', resolve))
    await server.up()
    await back
    assert.equal((await axon.inject(signLegacy(hello, by()))).statusCode, 200)
  })
})
