import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { sql } from 'kysely'
import { type Axon, createAxon, serve } from 'subreel/axon'
import { toBlockNumber, toNetuid, toUid, VideoCompression } from 'subreel/protocol'
import type { Chain, Metagraph, Neuron } from '#src/chain/types.js'
import { createDendrite, type Dendrite } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { SystemRng } from '#src/lib/rng.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { checkPlayable } from '#src/scoring/playable.js'
import { BuiltinStore } from '#src/storage/index.js'
import { GuardedResults, StorePayloads } from '#src/validator/adapters.js'
import { ConsensusView } from '#src/validator/consensus/view.js'
import { OrganicDuty } from '#src/validator/duties/organic.js'
import { runDuty } from '#src/validator/duty.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { createMetrics } from '#src/validator/metrics.js'
import { DendriteMinerClient } from '#src/validator/miner-client.js'
import { Network } from '#src/validator/network.js'
import { OrganicSampler } from '#src/validator/organic/sample.js'
import { MinerStore } from '#src/validator/state/miners.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { RoundStore } from '#src/validator/state/rounds.js'
import { TaskStore } from '#src/validator/state/tasks.js'
import { WorkflowStore } from '#src/workflows/index.js'
import { KEYS, PeerMap } from '../support/axon.js'
import { ClipServer, FIXTURES, scratch } from '../support/miner.js'
import { MemoryJudge } from '../support/validator-fakes.js'

const { alice, bob } = KEYS
const NETUID = 85
const clock = new SystemClock()

let files: { dir: string; remove(): Promise<void> }
let clips: ClipServer
let db: StateDatabase
let axon: Axon
let store: BuiltinStore
let dendrite: Dendrite
/** When the miner was asked, and for what. */
const asked: { readonly atMs: number; readonly url: string }[] = []
const stop = new AbortController()
let running: Promise<void>
let organic: OrganicDuty

before(async () => {
  files = await scratch()
  clips = await ClipServer.start(FIXTURES)
  db = await openState(join(files.dir, 'state.db'))
  axon = createAxon({
    wallet: bob,
    peers: new PeerMap().add(alice),
    synapses: [
      serve({
        definition: VideoCompression,
        handler: ({ miner_payload }) => {
          asked.push({ atMs: clock.now(), url: miner_payload.reference_video_url })
          return { miner_response: { optimized_video_url: clips.url('/flattitle.crf40.mp4') } }
        },
      }),
    ],
  })
  const { port } = await axon.listen({ host: '127.0.0.1', port: 0 })
  const log = silentLog()
  const rng = new SystemRng()
  store = await BuiltinStore.open({ dir: join(files.dir, 'store') }, { clock, rng, log })
  await store.listen('127.0.0.1', 0)
  dendrite = createDendrite({ wallet: alice, allowPrivate: true })
  const network = new Network({} as Chain, toNetuid(NETUID), alice.address)
  const neuron = {
    ...{ hotkey: bob.address, uid: toUid(1), coldkey: 'c', registeredAt: 1 },
    axon: { ip: '127.0.0.1', port, version: 1, protocol: 4 },
  } as unknown as Neuron
  const head = { number: toBlockNumber(10), hash: '0x' }
  network.update(head, {
    ...{ netuid: toNetuid(NETUID), block: head.number, blockHash: '0x', neurons: [neuron] },
  } satisfies Metagraph)
  const miners = new MinerStore(db, clock, NETUID)
  await miners.sync([neuron])
  await miners.warrant(bob.address, ['compress'])
  const metrics = createMetrics(createRegistry())
  const ledger = new LedgerState(LEDGER_RULES)
  const judge = new MemoryJudge(() => 0.5)
  organic = new OrganicDuty(
    {
      ...{
        everyMs: 1_000,
        concurrency: 4,
        maxMiners: 3,
        hedgeMs: 30_000,
        exploration: 0,
        sample: 1,
      },
      ...{ minerTimeoutMs: () => 60_000, tempDir: files.dir },
    },
    {
      ...{ network, miners, ledger, metrics, clock, rng, log },
      tasks: new TaskStore(db, clock),
      client: new DendriteMinerClient(dendrite, clock),
      fetcher: new GuardedResults(new GuardedFetcher({ allowPrivate: true }), 10_000_000),
      check: (path, signal) => checkPlayable(path, {}, signal),
      payloads: new StorePayloads(store),
      sampler: new OrganicSampler({ network, ledger, judge, rounds: new RoundStore(db, clock) }),
      workflows: new WorkflowStore([]),
      consensus: new ConsensusView(),
    },
  )
  running = runDuty(organic, { clock, log, metrics }, stop.signal)
})

after(async () => {
  stop.abort()
  await running
  await organic.idle()
  await axon.close()
  await dendrite.close()
  await store.close()
  await db.destroy()
  await clips.close()
  await files.remove()
})

it('a row inserted by hand reaches a miner, and its result plays', async () => {
  // As another program would insert it.
  const other = await openState(join(files.dir, 'state.db'))
  const insertedAt = clock.now()
  const params = JSON.stringify({ url: clips.url('/flattitle.ref.mp4') })
  await sql`insert into tasks (task_id, kind, params) values ('by-hand', 'compression', ${params})`.execute(
    other,
  )
  let row = { status: 'pending', result_url: null as string | null }
  while (!['scored', 'failed', 'timeout', 'verification_failed'].includes(row.status)) {
    await clock.sleep(50)
    row = await other
      .selectFrom('tasks')
      .select(['status', 'result_url'])
      .where('task_id', '=', 'by-hand')
      .executeTakeFirstOrThrow()
  }
  await other.destroy()
  assert.equal(row.status, 'scored')
  const [first] = asked
  assert.ok(first !== undefined)
  // Five seconds are the promise; a busy machine gets three times as long before the test fails.
  assert.ok(first.atMs - insertedAt < 15_000, `asked after ${first.atMs - insertedAt} ms`)
  assert.ok(!first.url.includes('flattitle'), 'the miner does not see the URL of the user')
  const path = join(files.dir, 'result.mp4')
  await new GuardedFetcher({ allowPrivate: true }).download(row.result_url ?? '', path)
  const played = await checkPlayable(path, {}, new AbortController().signal)
  assert.equal(played.ok, true, played.reason)
  console.log(`# asked ${first.atMs - insertedAt} ms after the row was inserted`)
})
