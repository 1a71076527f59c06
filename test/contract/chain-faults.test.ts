import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import {
  type Chain,
  discoverPublicIp,
  FileWeightLedger,
  MemoryWeightLedger,
} from '#src/chain/index.js'
import { RpcError, RpcSocket } from '#src/chain/socket.js'
import type { Devnet } from '#src/devnet/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { toNetuid, toUid } from '#src/protocol/units.js'
import { advance, clientOf, miner, startTestnet, validator } from '../support/chain-harness.js'
import { FlakyProxy } from '../support/flaky-proxy.js'

const netuid = toNetuid(1)
const request = { netuid, uids: [toUid(1), toUid(2)], weights: [0.25, 0.75] }
const STORED = [
  [1, 21_845],
  [2, 65_535],
]
const stored = async (chain: Chain) => [...(await chain.weights(netuid, toUid(0)))]

/** No faster than leaves a busy machine seconds to notice what it must in 45 of them. */
const SPEED = 5

/** The clock of the machine, with sleeps so much shorter: deadlines of minutes pass in a moment. */
class FastClock extends SystemClock {
  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return super.sleep(ms / SPEED, signal)
  }

  override monotonic(): number {
    return super.monotonic() * SPEED
  }
}

describe('losing endpoints', () => {
  let net: Devnet
  before(async () => {
    net = await startTestnet()
    net.advance(5)
  })
  after(() => net.close())

  it('uses the next endpoint when the first is down, refuses, or answers 429', async () => {
    await using broken = await FlakyProxy.before(net.url)
    for (const mode of ['refuse', 'throttle'] as const) {
      broken.mode = mode
      await using chain = clientOf([net], { endpoints: ['ws://127.0.0.1:1', broken.url, net.url] })
      assert.equal((await chain.head()).number, 5, mode)
    }
  })

  it('repeats a read on the next endpoint when the one in use drops or goes silent', async () => {
    for (const fail of ['drop', 'blackhole'] as const) {
      await using first = await FlakyProxy.before(net.url)
      await using second = await FlakyProxy.before(net.url)
      await using chain = clientOf([net], {
        endpoints: [first.url, second.url],
        requestTimeoutMs: 3_000,
      })
      await chain.head()
      const reading = chain.metagraph(netuid)
      if (fail === 'drop') first.mode = 'refuse'
      else first.mode = 'blackhole'
      assert.equal((await reading).neurons.length, 3, fail)
      assert.equal((await chain.metagraph(netuid)).neurons.length, 3, fail)
      assert.ok(second.accepted > 0, fail)
    }
  })

  it('leaves a blackholed socket within 45 s although nobody calls', async () => {
    await using first = await FlakyProxy.before(net.url)
    await using second = await FlakyProxy.before(net.url)
    const clock = new FastClock()
    await using chain = clientOf([net], {
      endpoints: [first.url, second.url],
      clock,
      blockTimeMs: 12_000,
      stallMs: 36_000,
      // Not what is tested: the first connection may take as long as this machine needs.
      connectTimeoutMs: 600_000,
      requestTimeoutMs: 600_000,
      operationTimeoutMs: 600_000,
    })
    const heard: number[] = []
    const watching = chain.watchHeads(({ number }) => heard.push(number))
    await chain.head()
    first.mode = 'blackhole'
    const since = clock.monotonic()
    while (second.accepted === 0) {
      assert.ok(clock.monotonic() - since < 45_000, 'still on the blackholed endpoint after 45 s')
      await clock.sleep(500)
    }
    watching.close()
  })

  it('fails within its deadline while every endpoint is gone, and works when one is back', async () => {
    await using only = await FlakyProxy.before(net.url)
    await using chain = clientOf([net], { endpoints: [only.url], operationTimeoutMs: 1_000 })
    await using patient = clientOf([net], { endpoints: [only.url] })
    await patient.head()
    only.mode = 'refuse'
    await assert.rejects(chain.hyperparameters(netuid), {
      code: 'CHAIN_UNREACHABLE',
      message: new RegExp(`${only.url}: CHAIN_DISCONNECTED: the connection .* failed`),
    })
    const abort = new AbortController()
    const aborted = assert.rejects(chain.metagraph(netuid, { signal: abort.signal }), /enough/)
    abort.abort(new Error('enough'))
    await aborted
    only.mode = 'pass'
    assert.equal((await patient.setWeights(validator, request)).outcome, 'included')
  })

  it('knows what became of an extrinsic whose endpoint was lost after sending', async () => {
    await using held = await startTestnet({}, { blocks: 'manual' })
    held.advance(5)
    await using first = await FlakyProxy.before(held.url)
    await using second = await FlakyProxy.before(held.url)
    await using chain = clientOf([held], {
      endpoints: [first.url, second.url],
    })
    const served = chain.serveAxon(miner, { netuid, ip: '10.0.0.9', port: 80, version: 1 })
    while (held.chain.pool.all().length === 0) await new SystemClock().sleep(5)
    first.mode = 'refuse'
    held.advance()
    const result = await served
    assert.equal(result.outcome, 'included')
    assert.ok(second.accepted > 0)
  })

  it('sends an extrinsic again that the only node has forgotten in a restart', async () => {
    await using held = await startTestnet({}, { blocks: 'manual' })
    held.advance(5)
    await using chain = clientOf([held])
    const served = chain.serveAxon(miner, { netuid, ip: '10.0.0.9', port: 80, version: 1 })
    const { pool } = held.chain
    const pooled = async () => {
      while (pool.all().length === 0) await new SystemClock().sleep(5)
    }
    await pooled()
    for (const hash of pool.hashes()) pool.remove(hash)
    held.faults.drop()
    await pooled()
    held.advance()
    assert.equal((await served).outcome, 'included')
  })

  it('signs what still holds when the newest blocks are replaced', async () => {
    await using held = await startTestnet({}, { blocks: 'manual', finalityLag: 3 })
    held.advance(9)
    await using chain = clientOf([held])
    const served = chain.serveAxon(miner, { netuid, ip: '10.0.0.9', port: 80, version: 1 })
    while (held.chain.pool.all().length === 0) await new SystemClock().sleep(5)
    held.faults.fork(2)
    held.advance()
    const { outcome } = await served
    assert.equal(outcome, 'included')
  })
})

describe('serving', () => {
  it('announces an axon with a certificate, once', async () => {
    await using net = await startTestnet({ servingRateLimit: 0 })
    net.advance(5)
    await using chain = clientOf([net])
    const certificate = Uint8Array.from([1, ...new Uint8Array(32).fill(7)])
    const axon = { netuid, ip: '10.0.0.1', port: 80, version: 1, certificate }
    assert.equal((await chain.serveAxon(miner, axon)).outcome, 'included')
    assert.equal((await chain.serveAxon(miner, axon)).outcome, 'unchanged')
    const other = Uint8Array.from([1, ...new Uint8Array(32).fill(8)])
    const renewed = await chain.serveAxon(miner, { ...axon, certificate: other })
    assert.equal(renewed.outcome, 'included')
  })

  it('discovers the public address that two services agree on', async () => {
    const answers = ['not an address', '10.1.2.3', '8.8.8.8\n', '8.8.4.4\n', '8.8.4.4']
    const server = createServer((request, response) => {
      response.end(answers[Number(request.url?.slice(1))] ?? '')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const services = answers.map((_, i) => `http://127.0.0.1:${port}/${i}`)
    const fetcher = new GuardedFetcher({ allowPrivate: true })
    assert.equal(await discoverPublicIp({ services, fetcher }), '8.8.4.4')
    await assert.rejects(discoverPublicIp({ services: services.slice(0, 4), fetcher }), {
      code: 'CHAIN_ADDRESS_UNKNOWN',
    })
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
})

describe('reading a large subnet', () => {
  it('takes one round trip for 256 neurons where the runtime has an API for it', async () => {
    const neurons = Array.from({ length: 256 }, (_, i) => ({
      hotkey: `//Neuron${i}`,
      stake: i,
      axon: { ip: '10.0.0.1', port: 1_000 + i },
    }))
    await using net = await startTestnet({}, { runtime: 393, subnets: [{ netuid: 1, neurons }] })
    net.advance(2)
    const requests: string[] = []
    await using chain = clientOf([net], {
      openTransport: async (endpoint, options) => {
        const socket = await RpcSocket.connect(endpoint, options)
        const request = socket.request.bind(socket)
        socket.request = (method, params, call) => {
          requests.push(method)
          return request(method, params, call)
        }
        return socket
      },
    })
    await chain.head()
    requests.length = 0
    const metagraph = await chain.metagraph(netuid)
    assert.deepEqual(
      requests.filter((method) => method.startsWith('state_')),
      ['state_call'],
    )
    assert.equal(metagraph.neurons.length, 256)
    metagraph.neurons.forEach((neuron, i) => {
      assert.equal(neuron.axon?.port, 1_000 + i, `uid ${i}`)
      assert.ok(Math.abs(neuron.stake - i) < 1e-6, `uid ${i}`)
    })
  })
})

describe('a metagraph without its runtime API', () => {
  const answers: readonly (readonly [string, () => unknown])[] = [
    ['what does not decode', () => '0x01ff'],
    [
      'an error',
      () => {
        throw new RpcError('state_call', 4003, 'Client error', 'Execution failed')
      },
    ],
  ]
  for (const [what, answer] of answers) {
    it(`reads the storage maps when the API answers with ${what}`, async () => {
      await using net = await startTestnet({}, { runtime: 393 })
      net.advance(2)
      await using whole = clientOf([net])
      await using chain = clientOf([net], {
        openTransport: async (endpoint, options) => {
          const socket = await RpcSocket.connect(endpoint, options)
          const pass = socket.request.bind(socket)
          socket.request = async (method, params, call) =>
            params[0] === 'SubnetInfoRuntimeApi_get_metagraph'
              ? answer()
              : pass(method, params, call)
          return socket
        },
      })
      assert.deepEqual(await chain.metagraph(netuid), await whole.metagraph(netuid))
    })
  }
})

describe('forks and upgrades', () => {
  it('leaves a node that forks back behind its own final blocks, and follows it when it is alone', async () => {
    await using net = await startTestnet()
    net.advance(20)
    await using chain = clientOf([net], { blockTimeMs: 200 })
    const old = await chain.head()
    net.faults.fork(8)
    net.advance(1)
    while ((await chain.blockHash(old.number)) === old.hash) await new SystemClock().sleep(20)
    assert.equal((await chain.setWeights(validator, request)).outcome, 'included')
  })

  it('reads the new metadata when the runtime is upgraded, moved calls and all', async () => {
    await using net = await startTestnet({}, { runtime: 393 })
    net.advance(5)
    await using chain = clientOf([net])
    const axon = { netuid, ip: '10.0.0.1', port: 80, version: 1 }
    assert.equal((await chain.serveAxon(miner, axon)).outcome, 'included')
    net.faults.upgrade({ model: 425, specVersion: 430, callIndexShift: 50 })
    await advance(chain, net, 10)
    assert.equal((await chain.serveAxon(miner, { ...axon, port: 81 })).outcome, 'included')
    assert.equal((await chain.metagraph(netuid)).neurons[1]?.axon?.port, 81)
    assert.equal((await chain.setWeights(validator, request)).outcome, 'included')
  })
})

describe('refused weights', () => {
  let net: Devnet
  let chain: Chain
  before(async () => {
    net = await startTestnet({ weightsRateLimit: 0 })
    net.advance(5)
    chain = clientOf([net])
  })
  after(async () => {
    await chain.close()
    await net.close()
  })

  const classified = {
    SettingWeightsTooFast: 'wait',
    IncorrectWeightVersionKey: 'stop',
    HotKeyNotRegisteredInSubNet: 'stop',
    NeuronNoValidatorPermit: 'stop',
    NotEnoughStakeToSetWeights: 'stop',
    MaxWeightExceeded: 'stop',
  } as const
  for (const [error, action] of Object.entries(classified)) {
    it(`answers ${error} with ${action}`, async () => {
      net.faults.refuseCalls(error)
      const result = await chain.setWeights(validator, request)
      assert.ok(result.outcome === 'refused')
      assert.deepEqual([result.error, result.action], [error, action])
    })
  }

  it('sends again in the same window what the pool or the nonce refused', async () => {
    const refusals = [
      { code: 1010, message: 'Invalid Transaction', data: 'Transaction is outdated' },
      { code: 1014, message: 'Priority is too low' },
      { code: 1016, message: 'Immediately dropped' },
      { code: 1010, message: 'Invalid Transaction', data: 'Transaction has a bad signature' },
    ]
    for (const refusal of refusals) {
      net.faults.refuseSubmissions({ ...refusal, times: 1 })
      const result = await chain.setWeights(validator, request)
      assert.equal(result.outcome, 'included', refusal.message)
    }
  })

  it('names the pool-level form of a refusal like the dispatch error', async () => {
    net.faults.refuseSubmissions({
      code: 1010,
      message: 'Invalid Transaction',
      data: 'Custom error: 6',
    })
    const result = await chain.setWeights(validator, request)
    assert.ok(result.outcome === 'refused')
    assert.deepEqual([result.error, result.action], ['RateLimitExceeded', 'wait'])
  })

  it('takes nonces one after the other when calls of one key overlap', async () => {
    const calls = [80, 81, 82].map((port) =>
      chain.setWeights(validator, { ...request, weights: [port, 100] }),
    )
    const outcomes = (await Promise.all(calls)).map(({ outcome }) => outcome)
    assert.deepEqual(outcomes, ['included', 'included', 'included'])
  })

  it('refuses a second process with the same hotkey', async () => {
    await using other = clientOf([net], { ledger: new MemoryWeightLedger() })
    await other.head()
    await advance(other, net, 1)
    const first = await chain.setWeights(validator, request)
    assert.equal(first.outcome, 'included')
    await other.head()
    const second = await other.setWeights(validator, request)
    assert.ok(second.outcome === 'refused')
    assert.deepEqual([second.error, second.action], ['HotkeyInUse', 'stop'])
  })
})

describe('committed weights', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-chain-'))
  })
  after(() => rm(folder, { recursive: true }))

  for (const runtime of [393, 425] as const) {
    it(`seals weights that runtime ${runtime} opens in the next epoch`, async () => {
      await using net = await startTestnet({ commitReveal: true }, { runtime })
      net.advance(30)
      await using chain = clientOf([net])
      const result = await chain.setWeights(validator, request)
      assert.ok(result.outcome === 'included')
      assert.equal(result.method, 'timelocked')
      assert.equal(result.verified, true)
      assert.deepEqual(await stored(chain), [])
      await advance(chain, net, 25)
      assert.deepEqual(await stored(chain), STORED)
    })
  }

  it('sets and seals weights of another mechanism', async () => {
    await using net = await startTestnet({ mechanisms: 2 })
    net.advance(5)
    await using chain = clientOf([net])
    const result = await chain.setWeights(validator, { ...request, mechanism: 1 })
    assert.ok(result.outcome === 'included')
    assert.equal(result.verified, true)
    assert.deepEqual(await stored(chain), [], 'mechanism 0 is untouched')
  })

  it('reveals a salted commit after a restart, from the salt in the ledger', async () => {
    await using net = await startTestnet({ commitReveal: true }, { runtime: 218 })
    net.advance(5)
    const path = join(folder, 'weights.json')
    const open = async () => {
      const ledger = await FileWeightLedger.open(path)
      return { ledger, chain: clientOf([net], { ledger }) }
    }
    const first = await open()
    const result = await first.chain.setWeights(validator, request)
    assert.equal(result.method, 'commit-reveal')
    assert.equal(result.outcome, 'included')
    assert.deepEqual(await first.chain.revealWeights(validator, { netuid }), [], 'too early')
    await first.chain.close()
    await first.ledger.close()
    net.advance(20)
    const second = await open()
    const [revealed] = await second.chain.revealWeights(validator, { netuid })
    assert.equal(revealed?.outcome, 'included')
    assert.deepEqual(await stored(second.chain), STORED)
    assert.deepEqual(await second.chain.revealWeights(validator, { netuid }), [])
    await second.chain.close()
    await second.ledger.close()
  })

  it('reveals a commit of the next epoch, which a crash kept from being read back', async () => {
    await using net = await startTestnet({ commitReveal: true }, { runtime: 218 })
    net.advance(5)
    const ledger = new MemoryWeightLedger()
    await using chain = clientOf([net], { ledger })
    await chain.setWeights(validator, request)
    const query = { hotkey: validator.address, netuid, mechanism: 0 }
    const [entry] = await ledger.list(query, 1)
    assert.ok(entry)
    const { epoch, ...rest } = entry
    await ledger.put({ ...rest, epoch: epoch - 1, state: 'included' })
    assert.equal((await chain.revealWeights(validator, { netuid }))[0]?.outcome, 'refused')
    await advance(chain, net, 20)
    assert.equal((await chain.revealWeights(validator, { netuid }))[0]?.outcome, 'included')
    assert.deepEqual(await stored(chain), STORED)
  })

  it('locks the ledger against a second process, and takes it over from a dead one', async () => {
    const path = join(folder, 'locked.json')
    const ledger = await FileWeightLedger.open(path)
    await assert.rejects(FileWeightLedger.open(path), { code: 'CHAIN_LEDGER_LOCKED' })
    await ledger.close()
    for (const dead of ['999999999', `${process.pid}`]) {
      await writeFile(`${path}.lock`, dead)
      await (await FileWeightLedger.open(path)).close()
    }
  })

  it('says so when the ledger does not parse, and leaves it as it is', async () => {
    const path = join(folder, 'broken.json')
    await writeFile(path, '{"version":1,"entries":[{')
    await assert.rejects(FileWeightLedger.open(path), { code: 'CHAIN_LEDGER_CORRUPT' })
    assert.equal(await readFile(path, 'utf8'), '{"version":1,"entries":[{')
  })
})
