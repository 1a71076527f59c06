import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { mkdtemp, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Axon, createAxon, type Peer, serve } from '#src/axon/index.js'
import { createChain } from '#src/chain/index.js'
import { DevComfy } from '#src/devcomfy/index.js'
import { type Devnet, startDevnet } from '#src/devnet/index.js'
import { must } from '#src/lib/errors.js'
import { fileUrl, probeVideo, runFfmpeg } from '#src/media/index.js'
import { readPackage } from '#src/media/package/index.js'
import {
  ComfySupport,
  LengthCheck,
  MinerCapacity,
  TaskStatusCheck,
  TaskWarrant,
  toNetuid,
  VideoTask,
  WARRANT,
} from '#src/protocol/index.js'
import { parseRecord, recheck } from '#src/scoring/judge/index.js'
import type { ScoreRecord } from '#src/scoring/types.js'
import { openState, type StateDatabase } from '#src/validator/state/open.js'
import { signerFromUri } from '#src/wallet/index.js'
import { MinerProcess, SHIPPED, scratch } from '../support/miner.js'
import { freePort } from '../support/ports.js'
import { TestRedis } from '../support/redis.js'

/** The chain refuses 127.0.0.1 as an axon's address; on Linux all of 127/8 is this machine. */
const IP = '127.0.0.2'
const NETUID = 99

/** A miner that accepts every workflow and hands in one clip that it made before. */
async function cheat(clip: string, chainEndpoint: string): Promise<Axon> {
  const anybody = { lookup: (hotkey: string) => ({ hotkey, stake: 1, uid: 0 }) as Peer }
  const axon = createAxon({
    wallet: signerFromUri('//Cheat', { chainEndpoint }),
    peers: anybody,
    synapses: [
      serve({
        definition: TaskWarrant,
        handler: () => ({ warrant_tasks: [WARRANT.generation] }),
      }),
      serve({ definition: LengthCheck, handler: () => ({ max_content_length: 10 as const }) }),
      serve({ definition: ComfySupport, handler: () => ({ supports_comfy: true }) }),
      serve({ definition: MinerCapacity, handler: () => ({}) }),
      serve({ definition: TaskStatusCheck, handler: () => ({ status: 'processing' }) }),
      serve({
        definition: VideoTask,
        handler: async ({ upload_url }) => {
          const length = String((await stat(clip)).size)
          const body = createReadStream(clip)
          const init = {
            method: 'PUT',
            body,
            duplex: 'half',
            headers: { 'content-length': length },
          }
          await fetch(upload_url, init as unknown as RequestInit)
          return { status_code: 200 }
        },
      }),
    ],
  })
  return axon
}

describe('rounds of generation', () => {
  const open: { close(): Promise<unknown> | unknown }[] = []
  let dir = ''
  let devnet: Devnet
  let validator: MinerProcess
  let db: StateDatabase

  before(async () => {
    const made = await scratch()
    dir = made.dir
    open.push({ close: made.remove })
    const redis = await TestRedis.start()
    open.push(redis)
    const comfy = await DevComfy.start({ folder: join(dir, 'comfy') })
    open.push(comfy)
    devnet = await startDevnet({
      blocks: { everyMs: 500 },
      subnets: [
        {
          netuid: NETUID,
          hyperparameters: { tempo: 20, immunityPeriod: 1000, servingRateLimit: 1 },
          neurons: [
            { hotkey: '//Validator', coldkey: '//Alice', stake: 50_000, validatorPermit: true },
            { hotkey: '//Honest', coldkey: '//Alice', stake: 0 },
            { hotkey: '//Cheat', coldkey: '//Alice', stake: 0 },
          ],
        },
      ],
    })
    open.push(devnet)
    const clip = join(dir, 'clip.mp4')
    const source = ['-f', 'lavfi', '-i', 'testsrc2=size=480x272:rate=12']
    await runFfmpeg([...source, '-frames:v', '24', '-pix_fmt', 'yuv420p', fileUrl(clip)])
    const liar = await cheat(clip, devnet.url)
    open.push(liar)
    const { port } = await liar.listen({ host: IP, port: 0 })
    const chain = createChain({ endpoints: [devnet.url] })
    open.push(chain)
    const signer = signerFromUri('//Cheat', { chainEndpoint: devnet.url })
    const netuid = toNetuid(NETUID)
    await chain.serveAxon(
      signer,
      { netuid, ip: IP, port, version: 10_005_000 },
      {
        signal: new AbortController().signal,
      },
    )
    const common = [
      ...['--netuid', String(NETUID), '--subtensor.network', devnet.url, '--allow-private-urls'],
      ...['--comfyui.servers', comfy.address, '--device', 'cpu'],
    ]
    const miner = await MinerProcess.run(SHIPPED.miner, dir, [
      ...common,
      ...['--wallet.hotkey', '//Honest', '--redis.url', redis.url, '--miner.tasks', 'generation'],
      ...['--axon.ip', IP, '--axon.external_ip', IP, '--axon.port', String(await freePort())],
      ...['--neuron.data_dir', join(dir, 'miner'), '--miner.min_free_mb', '1'],
    ])
    open.push({ close: () => miner.end() })
    const calibration = join(dir, 'calibration.json')
    const cosines = Array.from({ length: 9 }, (_, i) => 0.97 + i / 1000)
    const row = { embedder: 'efficientnet-lite0', gpus: ['cpu', 'cpu'], cosines }
    await writeFile(calibration, JSON.stringify([row]))
    validator = await MinerProcess.run(SHIPPED.validator, dir, [
      ...common,
      ...['--wallet.hotkey', '//Validator', '--validator.kinds', 'generation'],
      ...['--generation.workflows', 'no-checkpoint', '--generation.poll_seconds', '0.2'],
      ...['--neuron.data_dir', join(dir, 'validator'), '--generation.round_blocks', '100000'],
      ...['--validator.sync_seconds', '1', '--generation.timeout_seconds', '120'],
      ...['--validator.round_delay_seconds', '0'],
      ...['--neuron.disable_set_weights', '--generation.keep_results'],
      ...['--generation.calibration', calibration],
    ])
    open.push({ close: () => validator.end() })
    await validator.event('round.committed', 120_000)
    db = await openState(join(dir, 'validator', 'validator.db'))
    open.push({ close: () => db.destroy() })
  })
  after(async () => {
    for (const resource of open.reverse()) await resource.close()
  })

  it('pay the miner that ran the workflow and not the one that had a clip ready', async () => {
    const rows = await db.selectFrom('scores').selectAll().orderBy('id').execute()
    const of = (uri: string) => {
      const { address } = signerFromUri(uri, { chainEndpoint: devnet.url })
      return must(
        rows.find(({ hotkey }) => hotkey === address),
        `a row of ${uri}`,
      )
    }
    const [honest, cheating] = [of('//Honest'), of('//Cheat')]
    assert.equal(honest.outcome, 'scored', honest.reason)
    assert.ok(honest.score > 0.99, `${honest.score}: ${honest.reason}`)
    assert.equal(cheating.score, 0, cheating.reason)
    assert.match(cheating.reason, /nothing is like the rerun/)
  })

  it('name the model that compared, and what it was fed', async () => {
    const rows = await db.selectFrom('scores').selectAll().where('score', '>', 0).execute()
    const record: ScoreRecord = JSON.parse(rows[0]?.record ?? '{}')
    assert.equal(record.task, 'generation')
    assert.equal(record.inputs.parameters['embedder'], 'efficientnet-lite0')
    assert.equal(record.models[0]?.sha256.length, 64)
    assert.equal(record.inputs.parameters['frames'], 24)
    assert.ok(Number(record.metrics['secondsPerFrame']) > 0)
    assert.ok(record.gates.every(({ passed }) => passed))
    const { minCosine, samples } = Object(record.inputs.parameters['threshold'])
    assert.deepEqual(record.inputs.parameters['gpus'], ['cpu', 'cpu'])
    assert.equal(samples, 9, "the table's, not the default")
    assert.ok(minCosine > 0.955 && minCosine < 0.97, `${minCosine}`)
  })

  it('keep what was judged, for whoever wants to see it', async () => {
    const rows = await db.selectFrom('scores').selectAll().where('score', '>', 0).execute()
    const response = await fetch(rows[0]?.result_url ?? '')
    const path = join(dir, 'judged.zip')
    await writeFile(path, Buffer.from(await response.arrayBuffer()))
    const { files } = await readPackage(path, await mkdtemp(join(dir, 'judged-')))
    assert.equal((await probeVideo(must(files[0], 'file').path)).video.frames, 24)
  })

  it('leave room for a user, whose row in the database brings a video that plays', async () => {
    const params = JSON.stringify({ workflow: 'no-checkpoint', values: { seed: 9 } })
    const task_id = 'by-hand'
    await db.insertInto('tasks').values({ task_id, kind: 'generation', params }).execute()
    const task = async () =>
      db.selectFrom('tasks').selectAll().where('task_id', '=', task_id).executeTakeFirstOrThrow()
    for (let i = 0; i < 600 && !['completed', 'failed'].includes((await task()).status); i += 1)
      await new Promise((resolve) => setTimeout(resolve, 100))
    const { status, error_code, result_url } = await task()
    assert.equal(status, 'completed', error_code ?? '')
    const path = join(dir, 'by-hand.mp4')
    await writeFile(path, Buffer.from(await (await fetch(result_url ?? '')).arrayBuffer()))
    assert.equal((await probeVideo(path)).video.frames, 24)
  })

  it('can be checked by whoever has the record, and a changed one does not pass', async () => {
    const rows = await db.selectFrom('scores').selectAll().where('record', 'is not', null).execute()
    for (const { record } of rows) {
      const text = record ?? ''
      assert.deepEqual(recheck(parseRecord(text)), [], text)
      const raised = { ...JSON.parse(text), score: 0.5 }
      assert.notDeepEqual(recheck(parseRecord(JSON.stringify(raised))), [])
    }
  })
})
