import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ChainError } from '#src/chain/errors.js'
import type { Head } from '#src/chain/types.js'
import { type Link, Uplink } from '#src/chain/uplink.js'
import { silentLog } from '#src/lib/log.js'
import { withResolvers } from '#src/lib/resources.js'
import { SeededRng } from '#src/lib/rng.js'
import { toBlockNumber } from '#src/protocol/units.js'
import { FakeClock } from '../../support/fake-clock.js'

const GENESIS = '0xgenesis'
const BLOCK_MS = 12_000

/** A node that makes blocks with the fake clock until told to misbehave. */
class Node {
  readonly name: string
  number = 100
  fork = 'main'
  mode: 'well' | 'stuck' | 'blackhole' | 'down' | 'throttled' = 'well'
  genesis = GENESIS
  syncing = false
  /** What it answers `system_health` with instead, if anything. */
  health: ChainError | undefined
  connects = 0
  links: NodeLink[] = []

  constructor(name: string) {
    this.name = name
  }

  tick(): void {
    if (this.mode !== 'stuck') this.number += 1
    if (this.mode === 'well') for (const link of this.links) link.announce()
  }

  head(): Head {
    return { number: toBlockNumber(this.number), hash: this.hash(this.number) }
  }

  hash(number: number): string {
    return `${this.fork}-${number}`
  }
}

class NodeLink implements Link {
  readonly node: Node
  readonly blockTimeMs = BLOCK_MS
  readonly genesisHash: string
  readonly #clock: FakeClock
  readonly #heads = new Set<(head: Head) => void>()
  readonly #closed: ((error: ChainError) => void)[] = []
  #head: Head

  constructor(node: Node, clock: FakeClock) {
    this.node = node
    this.#clock = clock
    this.genesisHash = node.genesis
    this.#head = node.head()
  }

  get endpoint(): string {
    return this.node.name
  }

  get head(): Head {
    return this.#head
  }

  announce(): void {
    if (this.node.hash(this.node.number) === this.#head.hash) return
    this.#head = this.node.head()
    for (const listener of this.#heads) listener(this.#head)
  }

  async pollHead(options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<Head> {
    if (this.node.mode === 'blackhole') {
      await this.#clock.sleep(options.timeoutMs ?? 0, options.signal)
      const timeoutMs = options.timeoutMs ?? 0
      throw new ChainError({ code: 'CHAIN_TIMEOUT', method: 'probe', timeoutMs }, 'late')
    }
    this.announce()
    return this.#head
  }

  async blockHash(number: number): Promise<string | undefined> {
    return number <= this.node.number ? this.node.hash(number) : undefined
  }

  async finalized(): Promise<Head> {
    const number = this.node.number - 2
    return { number: toBlockNumber(number), hash: this.node.hash(number) }
  }

  async request(): Promise<unknown> {
    if (this.node.health !== undefined) throw this.node.health
    return { isSyncing: this.node.syncing }
  }

  onHead(listener: (head: Head) => void): () => void {
    this.#heads.add(listener)
    return () => this.#heads.delete(listener)
  }

  onClose(listener: (error: ChainError) => void): void {
    this.#closed.push(listener)
  }

  drop(): void {
    const error = new ChainError({ code: 'CHAIN_DISCONNECTED', endpoint: this.endpoint }, 'dropped')
    for (const listener of this.#closed.splice(0)) listener(error)
  }

  async close(): Promise<void> {
    this.node.links = this.node.links.filter((link) => link !== this)
  }
}

function setUp(names: readonly string[] = ['a', 'b', 'c']) {
  const clock = new FakeClock()
  const nodes = names.map((name) => new Node(name))
  const uplink = new Uplink<NodeLink>({
    endpoints: names,
    clock,
    rng: new SeededRng('uplink'),
    log: silentLog(),
    connect: async (endpoint) => {
      const node = nodes.find(({ name }) => name === endpoint)
      assert.ok(node)
      node.connects += 1
      if (node.mode === 'down' || node.mode === 'throttled') {
        const status = node.mode === 'throttled' ? { status: 429 } : {}
        throw new ChainError({ code: 'CHAIN_DISCONNECTED', endpoint, ...status }, 'refused')
      }
      const link = new NodeLink(node, clock)
      node.links.push(link)
      return link
    },
  })
  const run = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(Math.min(left, 1_000))
      if (clock.now() % BLOCK_MS < 1_000) for (const node of nodes) node.tick()
    }
  }
  const current = () => uplink.current?.endpoint
  const start = async () => {
    const link = uplink.link(new AbortController().signal)
    await clock.advance(1)
    return link
  }
  const [a, b, c] = nodes
  assert.ok(a && b && c)
  return { clock, uplink, run, current, start, a, b, c }
}

describe('the watchdog over chain endpoints', () => {
  it('takes the first endpoint and stays with it while it is well', async () => {
    const { uplink, run, current, start, b } = setUp()
    await start()
    await run(600_000)
    assert.equal(current(), 'a')
    assert.equal(b.connects, 0)
    await uplink.close()
  })

  it('uses a node that keeps its health to itself', async () => {
    const { uplink, current, start, a } = setUp()
    const method = 'system_health'
    a.health = new ChainError({ code: 'CHAIN_RPC_FAILED', method, rpcCode: -32_601 }, 'no')
    await start()
    assert.equal(current(), 'a')
    await uplink.close()
  })

  it('starts with the next endpoint when the first is down', async () => {
    const { uplink, current, start, a } = setUp()
    a.mode = 'down'
    await start()
    assert.equal(current(), 'b')
    await uplink.close()
  })

  it('leaves a socket that went silent within 45 s', async () => {
    const { uplink, run, current, start, a } = setUp()
    await start()
    await run(60_000)
    a.mode = 'blackhole'
    await run(45_000)
    assert.equal(current(), 'b')
    await uplink.close()
  })

  it('leaves a node that stands still after three block times and not before', async () => {
    const { uplink, run, current, start, a } = setUp()
    await start()
    await run(60_000)
    a.mode = 'stuck'
    await run(24_000)
    assert.equal(current(), 'a')
    await run(21_000)
    assert.equal(current(), 'b')
    await uplink.close()
  })

  it('keeps at hand the only endpoint of a chain that rests', async () => {
    const { uplink, run, current, start, a, b, c } = setUp()
    await start()
    a.mode = 'stuck'
    b.mode = 'down'
    c.mode = 'down'
    await run(300_000)
    let away = 0
    for (let second = 0; second < 300; second += 1) {
      await run(1_000)
      if (current() === undefined) away += 1
    }
    assert.ok(away < 30, `${away} of 300 s without a connection`)
    await uplink.close()
  })

  it('leaves a node that forks back behind what was final', async () => {
    const { uplink, run, current, start, a } = setUp()
    await start()
    await run(60_000)
    a.fork = 'other'
    await run(12_000)
    assert.equal(current(), 'b')
    await uplink.close()
  })

  it('passes over nodes that are behind, syncing or on another network', async () => {
    const { uplink, run, current, start, a, b, c } = setUp()
    await start()
    await run(60_000)
    b.number -= 50
    c.syncing = true
    a.links[0]?.drop()
    await run(5_000)
    assert.equal(current(), 'a')
    c.syncing = false
    c.genesis = '0xother'
    a.mode = 'down'
    a.links[0]?.drop()
    b.number += 50
    await run(30_000)
    assert.equal(current(), 'b')
    await uplink.close()
  })

  it('follows the last endpoint left although it is behind', async () => {
    const { uplink, run, current, start, a, b, c } = setUp()
    await start()
    await run(60_000)
    for (const node of [b, c]) node.number -= 50
    a.mode = 'down'
    a.links[0]?.drop()
    await run(120_000)
    assert.ok(current() === 'b' || current() === 'c', current())
    await uplink.close()
  })

  it('comes back after an hour in which every endpoint was down', async () => {
    const { uplink, run, current, start, a, b, c } = setUp()
    await start()
    for (const node of [a, b, c]) node.mode = 'down'
    a.links[0]?.drop()
    await run(3_600_000)
    assert.equal(current(), undefined)
    const tries = a.connects + b.connects + c.connects
    assert.ok(tries < 800, `${tries} connection attempts in an hour`)
    for (const node of [a, b, c]) node.mode = 'well'
    await run(31_000)
    assert.ok(current() !== undefined)
    await uplink.close()
  })

  it('leaves an endpoint alone for longer when it answers 429', async () => {
    const { uplink, run, start, a } = setUp()
    a.mode = 'throttled'
    await start()
    for (const node of [a]) node.connects = 0
    await run(60_000)
    assert.equal(a.connects, 0)
    await uplink.close()
  })

  it('tries the next endpoint each time when one connects and drops at once', async () => {
    const { uplink, run, start, a } = setUp(['a', 'b', 'c'])
    await start()
    for (let i = 0; i < 20; i += 1) {
      a.links[0]?.drop()
      await run(1_000)
    }
    assert.ok(a.connects < 8, `${a.connects} connects`)
    await uplink.close()
  })

  it('ends waiting calls when closed or aborted', async () => {
    const { uplink, clock, a, b, c } = setUp()
    for (const node of [a, b, c]) node.mode = 'down'
    const abort = new AbortController()
    const aborted = withResolvers<unknown>()
    uplink.link(abort.signal).catch(aborted.resolve)
    const closed = withResolvers<unknown>()
    uplink.link(new AbortController().signal).catch(closed.resolve)
    await clock.advance(10)
    abort.abort(new Error('enough'))
    assert.match(String(await aborted.promise), /enough/)
    await uplink.close()
    assert.ok((await closed.promise) instanceof ChainError)
  })
})
