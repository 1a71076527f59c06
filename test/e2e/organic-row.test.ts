import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { sql } from 'kysely'
import { type Axon, createAxon, serve } from 'subreel/axon'
import { toBlockNumber, toNetuid, toUid, VideoCompression, VideoUpscaling } from 'subreel/protocol'
import type { Chain, Metagraph, Neuron } from '#src/chain/types.js'
import { Corpus } from '#src/corpus/index.js'
import { createDendrite, type Dendrite } from '#src/dendrite/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import { SystemRng } from '#src/lib/rng.js'
import { probeVideo } from '#src/media/index.js'
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
import { DEFAULT_PLAN_SETTINGS } from '#src/validator/plan.js'
import type { ChallengeSource } from '#src/validator/ports.js'
import { RoundRunner } from '#src/validator/round.js'
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
/** The same of upscaling, with the file it was given. */
const upscaled: { readonly path: string; readonly url: string; readonly roundId: string }[] = []
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
      serve({
        definition: VideoUpscaling,
        handler: async ({ round_id, miner_payload: { reference_video_url } }) => {
          const path = join(files.dir, `${round_id}.mp4`)
          await new GuardedFetcher({ allowPrivate: true }).download(reference_video_url, path)
          upscaled.push({ path, url: reference_video_url, roundId: round_id ?? '' })
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
  await miners.warrant(bob.address, ['compress', 'upscale'])
  const metrics = createMetrics(createRegistry())
  const ledger = new LedgerState(LEDGER_RULES)
  const judge = new MemoryJudge(() => 0.5)
  const rounds = new RoundStore(db, clock)
  const parts = {
    ...{ client: new DendriteMinerClient(dendrite, clock), payloads: new StorePayloads(store) },
    fetcher: new GuardedResults(new GuardedFetcher({ allowPrivate: true }), 10_000_000),
    check: (path: string, signal: AbortSignal) => checkPlayable(path, {}, signal),
    ...{ metrics, clock, log },
  }
  const roundsOf = (corpus: ChallengeSource) =>
    new RoundRunner(
      { netuid: NETUID, concurrency: 1, timeoutMs: () => 60_000, tempDir: files.dir },
      { ...parts, corpus, rounds, judge },
    )
  const sampler = new OrganicSampler(
    { seconds: 10, settings: DEFAULT_PLAN_SETTINGS },
    { network, rounds, ledger, judge, rng, roundsOf, clipOf: (path) => Corpus.of(path) },
  )
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
      ...{ ...parts, network, miners, ledger, rng, sampler },
      tasks: new TaskStore(db, clock),
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

/** Inserts a row as another program would, and waits for its end. */
async function insertRow(taskId: string, kind: string) {
  const other = await openState(join(files.dir, 'state.db'))
  const params = JSON.stringify({ url: clips.url('/flattitle.ref.mp4') })
  await sql`insert into tasks (task_id, kind, params) values (${taskId}, ${kind}, ${params})`.execute(
    other,
  )
  let row = { status: 'pending', result_url: null as string | null }
  while (!['scored', 'failed', 'timeout', 'verification_failed'].includes(row.status)) {
    await clock.sleep(50)
    row = await other
      .selectFrom('tasks')
      .select(['status', 'result_url'])
      .where('task_id', '=', taskId)
      .executeTakeFirstOrThrow()
  }
  await other.destroy()
  assert.equal(row.status, 'scored')
  return row
}

it('a row inserted by hand reaches a miner, and its result plays', async () => {
  const insertedAt = clock.now()
  const row = await insertRow('by-hand', 'compression')
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

it('an upscaled video is judged by a smaller version of it, which looks like any other task', async () => {
  await insertRow('upscaled', 'upscaling')
  const [user, again] = upscaled
  assert.ok(user !== undefined && again !== undefined)
  assert.equal(upscaled.length, 2)
  const shape = (text: string) =>
    text
      .replaceAll(/[0-9a-f]{16,}/g, 'x')
      .replace(/signature=.{43}$/, 'signature')
      .replaceAll(/\d+/g, '0')
  assert.equal(shape(again.url), shape(user.url))
  assert.match(user.roundId, /^[0-9a-f]{32}$/)
  assert.match(again.roundId, /^[0-9a-f]{32}$/)
  assert.notEqual(again.roundId, user.roundId)
  const [large, small] = await Promise.all([probeVideo(user.path), probeVideo(again.path)])
  assert.ok(small.video.width * 2 <= large.video.width, `${small.video.width} pixels wide`)
  const [score] = await new RoundStore(db, clock).history(NETUID, 1)
  assert.deepEqual(
    [score?.kind, score?.score, score?.roundId],
    ['upscaling', 0.5, 'organic-upscaled'],
  )
})
