import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Axon } from 'subreel/axon'
import type { Signer } from 'subreel/wallet'
import type { Chain, Metagraph, Neuron } from '#src/chain/types.js'
import { createDendrite, type Dendrite } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { toBlockNumber, toNetuid, toUid } from '#src/protocol/units.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { readReport, type SignedReport, signReport } from '#src/validator/consensus/document.js'
import { askReport, createReportAxon } from '#src/validator/consensus/serve.js'
import { agreements, ConsensusView } from '#src/validator/consensus/view.js'
import { ConsensusDuty } from '#src/validator/duties/consensus.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { createMetrics } from '#src/validator/metrics.js'
import { Network } from '#src/validator/network.js'
import { MinerStore } from '#src/validator/state/miners.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { ReportStore } from '#src/validator/state/reports.js'
import { KEYS } from '../support/axon.js'
import { FakeClock } from '../support/fake-clock.js'

const NETUID = 85
const MINER = 'miner'
const { alice, bob, charlie, dave } = KEYS
const signal = new AbortController().signal
const nowMs = new FakeClock().now()

const status = (fields: object = {}) => ({
  ...{ uid: 9, hotkey: MINER, stake: 1, is_serving: true, current_load: 0 },
  performance_score: 0.5,
  ...fields,
})
const documentOf = (validator: Signer, fields: object = {}, atMs = nowMs) => ({
  ...{ version: 1 as const, netuid: NETUID, validator: validator.address, atMs },
  reports: [{ hotkey: MINER, kind: 'compression', status: status(fields) }],
})

describe('reports of validators', () => {
  let db: StateDatabase
  let store: ReportStore
  before(async () => {
    db = await openState(':memory:')
  })
  after(() => db.destroy())
  beforeEach(async () => {
    store = new ReportStore(db, NETUID)
    await store.prune(Number.MAX_SAFE_INTEGER)
  })
  const agreed = async () => agreements(await store.since(0), nowMs)

  it('need two distinct validators: one that speaks twice is one voice', async () => {
    await store.put(documentOf(alice, { performance_score: 0.1 }, nowMs - 1_000), nowMs)
    await store.put(documentOf(alice, { performance_score: 0.9 }), nowMs)
    assert.deepEqual(await agreed(), [])
    await store.put(documentOf(bob), nowMs)
    assert.deepEqual((await agreed())[0]?.validators.length, 2)
    assert.equal((await agreed())[0]?.status['performance_score'], 0.7)
  })

  it('keep how sure they are, from their fields and age, and only sure ones route work', async () => {
    await store.put(documentOf(alice), nowMs)
    const { performance_score: _, ...vague } = documentOf(bob).reports[0]?.status ?? status()
    const late = {
      ...documentOf(bob, {}, nowMs - 290_000),
      reports: [{ hotkey: MINER, kind: 'compression', status: vague }],
    }
    await store.put(late, nowMs)
    const [sure, vaguer] = await store.since(0)
    assert.ok((sure?.confidence ?? 0) >= (vaguer?.confidence ?? 1))
    assert.ok((vaguer?.confidence ?? 0) > 0.1, 'a confidence was stored')
    const view = new ConsensusView()
    view.update(await agreed())
    assert.equal(view.performance(MINER, 'compression'), 0.5)
    view.update((await agreed()).map((one) => ({ ...one, confidence: 0.69 })))
    assert.equal(view.performance(MINER, 'compression'), undefined)
  })

  it('agree on each field by itself: what has no rule is the newest of that field', async () => {
    await store.put(documentOf(alice, { uid: 7 }, nowMs - 5_000), nowMs)
    await store.put(documentOf(bob, { uid: 8 }), nowMs)
    assert.equal((await agreed())[0]?.status['uid'], 8)
    assert.equal((await agreed())[0]?.status['hotkey'], MINER)
  })

  it('that contradict each other are no agreement to route by', async () => {
    await store.put(documentOf(alice, { is_serving: true }), nowMs)
    await store.put(documentOf(bob, { is_serving: false }), nowMs)
    const all = await agreed()
    assert.deepEqual(all[0]?.conflicts, ['is_serving'])
    const view = new ConsensusView()
    view.update(all)
    assert.equal(view.performance(MINER, 'compression'), undefined)
  })

  it('said twice are one, and an older one changes nothing', async () => {
    assert.equal(await store.put(documentOf(alice), nowMs), true)
    assert.equal(await store.put(documentOf(alice), nowMs), false)
    assert.equal(await store.put(documentOf(alice, {}, nowMs - 1), nowMs), false)
    assert.equal((await store.since(0)).length, 1)
  })

  it('are refused when they are not what they must be', () => {
    const good = documentOf(alice)
    const read = (signed: SignedReport) =>
      readReport(signed, { netuid: NETUID, validator: alice.address, nowMs, maxAgeMs: 300_000 })
    assert.deepEqual(read(signReport(alice, good)), { document: good })
    const claims = {
      ...good,
      reports: [{ ...good.reports[0], status: status({ accuracy_score: 1 }) }],
    }
    for (const [why, signed] of [
      ['forged', signReport(bob, good)],
      [
        'changed',
        { ...signReport(alice, good), document: JSON.stringify({ ...good, atMs: nowMs - 1 }) },
      ],
      ['of another subnet', signReport(alice, { ...good, netuid: 1 })],
      ['of another validator', signReport(bob, documentOf(bob))],
      ['too old', signReport(alice, documentOf(alice, {}, nowMs - 300_001))],
      ['from the future', signReport(alice, documentOf(alice, {}, nowMs + 61_000))],
      ["with a miner's own claims", signReport(alice, claims as typeof good)],
      ['no JSON', { document: '{', signature: '00' }],
    ] as const) {
      assert.ok('refused' in read(signed), why)
    }
  })
})

interface Validator {
  readonly duty: ConsensusDuty
  readonly axon: Axon
  readonly dendrite: Dendrite
  readonly db: StateDatabase
  readonly view: ConsensusView
  join(neurons: readonly Neuron[]): void
}

describe('validators over their axons', () => {
  const all: Validator[] = []
  const ports: number[] = []

  const neuronOf = (hotkey: string, uid: number, port: number | undefined, permit: boolean) =>
    ({
      ...{
        hotkey,
        uid: toUid(uid),
        coldkey: 'c',
        registeredAt: 1,
        validatorPermit: permit,
        stake: 9,
      },
      axon: port === undefined ? undefined : { ip: '127.0.0.1', port, version: 1, protocol: 4 },
    }) as unknown as Neuron

  async function start(signer: Signer, score: number): Promise<Validator> {
    const db = await openState(':memory:')
    const clock = new SystemClock()
    const network = new Network({} as Chain, toNetuid(NETUID), signer.address)
    const ledger = new LedgerState(LEDGER_RULES)
    ledger.add('r', 10, [
      { hotkey: MINER, uid: 3, kind: 'compression', outcome: 'scored', score, reason: '' },
    ])
    const view = new ConsensusView()
    const dendrite = createDendrite({ wallet: signer, allowPrivate: true })
    const miners = new MinerStore(db, clock, NETUID)
    const duty = new ConsensusDuty(
      { everyMs: 1, kinds: ['compression'], silentMs: 1_000 },
      {
        ...{ network, miners, ledger, view, signer, clock },
        reports: new ReportStore(db, NETUID),
        ask: askReport(dendrite),
        load: () => 0,
        log: silentLog(),
        metrics: createMetrics(createRegistry()),
      },
    )
    const axon = createReportAxon(network, () => duty.latest, { signer, clock, log: silentLog() })
    const { port } = await axon.listen({ host: '127.0.0.1', port: 0 })
    ports.push(port)
    const join = (neurons: readonly Neuron[]) => {
      const head = { number: toBlockNumber(10), hash: '0x' }
      network.update(head, {
        ...{ netuid: toNetuid(NETUID), block: head.number, blockHash: '0x', neurons },
      } satisfies Metagraph)
    }
    return { duty, axon, dendrite, db, view, join }
  }

  before(async () => {
    for (const [signer, score] of [
      [alice, 0.2],
      [bob, 0.6],
      [charlie, 0.6],
    ] as const)
      all.push(await start(signer, score))
    const neurons = [alice, bob, charlie].map(({ address }, i) =>
      neuronOf(address, i, ports[i], true),
    )
    for (const one of all) one.join([...neurons, neuronOf(MINER, 3, 1, false)])
  })
  after(async () => {
    for (const { axon, dendrite, db } of all) {
      await axon.close()
      await dendrite.close()
      await db.destroy()
    }
  })

  it('hear each other and agree on the mean of what they measured', async () => {
    for (const { duty } of all) await duty.run(signal)
    for (const { duty } of all) await duty.run(signal)
    const heard = all.map(({ view }) => view.performance(MINER, 'compression') ?? Number.NaN)
    const [first = Number.NaN] = heard
    assert.ok(first > 0, `${heard}`)
    for (const [i, value] of heard.entries())
      assert.ok(Math.abs(value - first) < 1e-9, `validator ${i}: ${value} against ${first}`)
  })

  it('report what they measured, the same twice: nothing in it is random', async () => {
    const [one] = all
    const reports = () => JSON.parse(one?.duty.latest.document ?? '{}').reports
    await one?.duty.run(signal)
    const before = reports()
    await one?.duty.run(signal)
    assert.deepEqual(reports(), before)
    assert.equal(before[0].status.current_load, 0)
  })

  it('tell nobody without a permit', async () => {
    const stranger = createDendrite({ wallet: dave, allowPrivate: true })
    try {
      const target = { hotkey: alice.address, uid: 0, ip: '127.0.0.1', port: ports[0] ?? 0 }
      assert.equal(await askReport(stranger)(target, signal), undefined)
    } finally {
      await stranger.close()
    }
  })
})
