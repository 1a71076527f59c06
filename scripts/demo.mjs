// The whole system on one machine: a local chain, one validator, four miners as processes of their
// own, Redis, stores, a user with a job. Nothing is staged: signatures, queues, uploads, downloads,
// scores and extrinsics are real. Exit code 0 only when every promise held.
//
//   npm run demo -- [--media clip.mp4] [--keep] [--rounds N]
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createChain } from '../dist/chain/index.js'
import { startDevnet } from '../dist/devnet/index.js'
import { toNetuid } from '../dist/protocol/index.js'
import { openState } from '../dist/validator/state/open.js'
import { signerFromUri } from '../dist/wallet/index.js'
import { Board } from './demo/board.mjs'
import { makeCorpus, slowFfmpeg } from './demo/media.mjs'
import { Daemon, freePort, ROOT, startRedis } from './demo/processes.mjs'
import { collectRounds, writeReport } from './demo/report.mjs'

const { values: options } = parseArgs({
  options: {
    media: { type: 'string' },
    keep: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '3' },
    out: { type: 'string', default: 'demo-report' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (options.help) {
  process.stdout.write(`usage: npm run demo -- [options]

  --media FILE   make the challenges from your own clip
  --rounds N     rounds to play (default 3)
  --keep         leave everything running afterwards, with its addresses
  --out FOLDER   where the report goes (default demo-report)
`)
  process.exit(0)
}

const NETUID = 85
const BLOCK_MS = 1000
const ROUND_BLOCKS = 10
const TIMEOUT_SECONDS = 60
const API_KEY = 'demo-key-0123456789'
const MINERS = [
  { name: 'honest', uri: '//Honest', what: 'upscales with SPAN, compresses to the threshold' },
  {
    name: 'mortal',
    uri: '//Mortal',
    what: 'the same; its worker is killed in the middle of a task',
  },
  { name: 'slow', uri: '//Slow', what: 'the same on a machine that takes its time' },
  { name: 'cheat', uri: '//Cheat', what: 'sells bicubic as upscaling, sharpens starved encodes' },
]

// The chain refuses 127.0.0.1 as an axon's address; on Linux all of 127/8 is this machine.
function localAddress() {
  if (process.platform === 'linux') return '127.0.0.2'
  const found = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)
  if (found === undefined) throw new Error('the demo needs an IPv4 address besides 127.0.0.1')
  return found.address
}

const started = performance.now()
const board = new Board(MINERS)
const cleanup = []
const promises = []
const promise = (what, kept, detail = '') => promises.push({ what, kept, detail })

async function main() {
  const wanted = Number(options.rounds)
  const dir = await mkdtemp(join(tmpdir(), 'subreel-demo-'))
  if (process.env.SUBREEL_DEMO_KEEP_FILES === undefined)
    cleanup.push(() => rm(dir, { recursive: true, force: true }))
  const logDir = join(dir, 'logs')
  await mkdir(logDir)
  const ip = localAddress()

  board.say(`working in ${dir}`)
  board.say('cutting clips for the challenges')
  const corpus = join(dir, 'corpus')
  await makeCorpus(corpus, options.media === undefined ? undefined : resolve(options.media))

  const redis = await startRedis(dir)
  cleanup.push(() => redis.close())
  board.say(`started Redis at ${redis.url}`)

  const hyperparameters = {
    tempo: 10,
    minAllowedWeights: 1,
    weightsRateLimit: 5,
    commitReveal: false,
    immunityPeriod: 1000,
    servingRateLimit: 1,
    burn: 1_000_000n,
  }
  const devnet = await startDevnet({
    blocks: { everyMs: BLOCK_MS },
    subnets: [
      {
        netuid: NETUID,
        hyperparameters,
        neurons: [
          { hotkey: '//Validator', coldkey: '//Alice', stake: 50_000, validatorPermit: true },
        ],
      },
    ],
  })
  cleanup.push(() => devnet.close())
  board.say(`started a local chain at ${devnet.url} with subnet ${NETUID}`)

  const chain = createChain({ endpoints: [devnet.url] })
  cleanup.push(() => chain.close())
  const netuid = toNetuid(NETUID)
  const coldkey = signerFromUri('//Alice', { chainEndpoint: devnet.url })
  for (const miner of MINERS) {
    const { address } = signerFromUri(miner.uri, { chainEndpoint: devnet.url })
    const registered = await chain.register(coldkey, { netuid, hotkey: address })
    if (registered.outcome !== 'included')
      throw new Error(`registering ${miner.name}: ${JSON.stringify(registered)}`)
    miner.hotkey = address
  }
  board.say('registered four miners on the subnet, paid by //Alice')

  const common = [
    '--netuid',
    String(NETUID),
    '--subtensor.network',
    devnet.url,
    '--allow-private-urls',
    '--device',
    'cpu',
    '--redis.url',
    redis.url,
  ]
  const slow = await slowFfmpeg(dir, 12)
  const startMiner = async (miner, role, extra = []) => {
    miner.port ??= await freePort(ip)
    const script = miner.name === 'cheat' ? 'scripts/demo/cheat-miner.mjs' : 'dist/miner.js'
    const own = join(dir, miner.name)
    await mkdir(join(own, 'temp'), { recursive: true })
    const address = ['--axon.ip', ip, '--axon.external_ip', ip, '--axon.port', String(miner.port)]
    const files = [
      '--neuron.data_dir',
      join(own, 'data'),
      '--neuron.temp_dir',
      join(own, 'temp'),
      '--queue.prefix',
      `{${miner.name}}`,
      '--miner.min_free_mb',
      '100',
    ]
    const args = [
      script,
      ...common,
      '--wallet.hotkey',
      miner.uri,
      '--role',
      role,
      ...address,
      ...files,
      ...extra,
    ]
    const daemon = await new Daemon(role === 'all' ? miner.name : `${miner.name}-${role}`, args, {
      logDir,
    }).start()
    cleanup.push(() => daemon.stop())
    return daemon
  }
  board.say('starting the miners')
  const [honest, mortal, lazy, cheat] = MINERS
  let worker
  await Promise.all([
    startMiner(honest, 'all'),
    startMiner(lazy, 'all', ['--ffmpeg.path', slow]),
    startMiner(cheat, 'all'),
    startMiner(mortal, 'worker').then(async (daemon) => {
      worker = daemon
      await startMiner(mortal, 'axon')
    }),
  ])

  const data = join(dir, 'validator')
  const gatewayPort = await freePort()
  board.say('starting the validator and the gateway')
  const validator = new Daemon(
    'validator',
    [
      'dist/validator.js',
      ...common,
      '--wallet.hotkey',
      '//Validator',
      '--neuron.data_dir',
      data,
      '--validator.corpus',
      corpus,
    ]
      .concat([
        '--validator.round_blocks',
        String(ROUND_BLOCKS),
        '--validator.clip_seconds',
        '1',
        '--validator.sync_seconds',
        '2',
        '--validator.warrant_seconds',
        '20',
      ])
      .concat([
        '--validator.thresholds',
        '85,89',
        '--validator.codecs',
        'hevc,h264',
        '--validator.task_types',
        'SD2HD',
        '--neuron.timeout',
        String(TIMEOUT_SECONDS),
        '--organic.gateway',
      ]),
    { logDir },
  )
  const committed = []
  validator.on('task.scored', ({ uid, outcome, score, reason, roundId }) =>
    board.scored(uid, roundId, outcome, score, reason),
  )
  validator.on('round.committed', ({ roundId, seconds }) => {
    committed.push(roundId)
    board.say(`round ${roundId} committed after ${seconds.toFixed(0)} s`)
  })
  let weightsOf = 0
  validator.on('weights.updated', ({ block }) => {
    // Once per round: the epochs of this chain are seconds long.
    if (committed.length > weightsOf) board.say(`weights set on chain in block ${block}`)
    weightsOf = committed.length
  })
  const voided = []
  validator.on('round.voided', ({ roundId }) => voided.push(roundId))

  const killed = killInTheMiddle(join(dir, 'mortal', 'temp'), () => worker).then(async () => {
    board.say("killed the mortal miner's worker in the middle of a task (SIGKILL)")
    worker = await startMiner(mortal, 'worker')
    board.say("started the mortal miner's worker again")
  })
  killed.catch((error) => board.say(`the crash could not be staged: ${error.message}`))

  const gateway = await new Daemon(
    'gateway',
    [
      'dist/services/gateway/main.js',
      '--redis.url',
      redis.url,
      '--gateway.port',
      String(gatewayPort),
      '--allow-private-urls',
      '--neuron.data_dir',
      join(dir, 'gateway'),
    ],
    { logDir, env: { GATEWAY_API_KEYS: `demo:${API_KEY}` } },
  ).start()
  cleanup.push(() => gateway.stop())
  await validator.start()
  cleanup.push(() => validator.stop())
  board.say(`the gateway takes jobs at http://127.0.0.1:${gatewayPort} (its document: /docs)`)

  await until(() => committed.length >= 2, 'the first round', 180)
  board.say('a user uploads a clip to be compressed')
  const job = await submitJob(gatewayPort, join(corpus, 'clip-0.mp4'))
  const organic = followJob(gatewayPort, job.id)
  await until(() => committed.length >= 2 * wanted, `${wanted} rounds`, 240 * wanted)
  await killed
  const jobResult = await organic
  board.say(
    jobResult.url === undefined
      ? `the user's job ended ${jobResult.state}`
      : `the user's result: ${jobResult.url}`,
  )

  board.say('waiting for weights that count all rounds')
  const db = await openState(join(data, 'validator.db'))
  cleanup.push(() => db.destroy())
  const lastCommit = (await chain.head()).number
  const metagraph = await chain.metagraph(netuid)
  const own = metagraph.neurons.find(
    ({ hotkey }) => hotkey === signerFromUri('//Validator', { chainEndpoint: devnet.url }).address,
  )
  await until(
    async () => (await chain.metagraph(netuid)).neurons[own.uid].lastUpdate > lastCommit,
    'weights on chain',
    90,
  )
  const weights = await chain.weights(netuid, own.uid)
  const uidOf = (miner) => metagraph.neurons.find(({ hotkey }) => hotkey === miner.hotkey)?.uid
  const weightOf = (miner) => weights.get(uidOf(miner)) ?? 0
  for (const miner of MINERS) miner.uid = uidOf(miner)

  const rounds = await collectRounds(db, corpus, join(dir, 'replay'))
  const answers = rounds.flatMap((round) => round.scores)
  const lost = answers.filter((answer) => answer.uid === mortal.uid && answer.outcome !== 'scored')
  promise('every round was committed, none void', voided.length === 0, voided.join(', '))
  promise(
    'the honest miner outranks the slow one',
    weightOf(honest) > weightOf(lazy),
    `${weightOf(honest)} > ${weightOf(lazy)}`,
  )
  promise(
    'the slow miner outranks the cheat',
    weightOf(lazy) > weightOf(cheat),
    `${weightOf(lazy)} > ${weightOf(cheat)}`,
  )
  promise(
    'no task of the killed worker was lost',
    lost.length === 0,
    lost.map(({ reason }) => reason).join('; '),
  )
  promise('the user got a video that plays', jobResult.playable === true, jobResult.state)
  promise(
    'weights are on chain',
    [...weights.values()].some((value) => value > 0),
    `block ${(await chain.metagraph(netuid)).neurons[own.uid].lastUpdate}`,
  )

  const report = await writeReport({
    out: resolve(ROOT, options.out),
    rounds,
    miners: MINERS,
    weights,
    promises,
    seconds: (performance.now() - started) / 1000,
  })
  board.finish({
    rounds,
    miners: MINERS,
    weights,
    promises,
    report,
    logDir: options.keep ? logDir : undefined,
  })
  if (options.keep) {
    board.say(
      `everything keeps running: chain ${devnet.url}, gateway http://127.0.0.1:${gatewayPort} (key ${API_KEY}), logs ${logDir}`,
    )
    board.say('press Ctrl-C to stop')
    await new Promise((done) => process.once('SIGINT', done))
  }
  return promises.every(({ kept }) => kept)
}

async function until(condition, what, seconds) {
  const end = performance.now() + seconds * 1000
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${seconds} s`)
    await sleep(250)
  }
}

/** Kills a worker as soon as there is a video in its working folder: it is in the middle of a task. */
async function killInTheMiddle(temp, worker) {
  await until(
    async () =>
      (await readdir(temp, { recursive: true })).some((name) => /\.(mp4|bin|mkv)$/.test(name)),
    'a task of the mortal miner',
    300,
  )
  process.kill(-worker().child.pid, 'SIGKILL')
}

async function submitJob(port, file) {
  const { readFile } = await import('node:fs/promises')
  const response = await fetch(
    `http://127.0.0.1:${port}/v1/jobs?kind=compression&codec=h264&vmafThreshold=85&timeoutSeconds=120`,
    {
      method: 'POST',
      headers: { 'x-api-key': API_KEY, 'content-type': 'video/mp4', 'idempotency-key': 'demo' },
      body: await readFile(file),
    },
  )
  if (!response.ok)
    throw new Error(`the gateway answered ${response.status}: ${await response.text()}`)
  return response.json()
}

async function followJob(port, id) {
  const get = async (path) =>
    (
      await fetch(`http://127.0.0.1:${port}/v1/jobs/${id}${path}`, {
        headers: { 'x-api-key': API_KEY },
      })
    ).json()
  let state = 'queued'
  await until(
    async () => {
      state = (await get('')).state
      return state === 'completed' || state === 'failed'
    },
    "the user's job",
    400,
  ).catch(() => {})
  if (state !== 'completed') return { state }
  const { url } = await get('/result')
  const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
  return { state, url, playable: bytes.length > 0 && bytes.subarray(4, 8).toString() === 'ftyp' }
}

let ok = false
const stop = async () => {
  for (const close of cleanup.reverse()) await Promise.resolve(close()).catch(() => {})
}
process.once('SIGTERM', async () => {
  await stop()
  process.exit(143)
})
try {
  ok = await main()
} catch (error) {
  board.say(`the demo failed: ${error.message}`)
} finally {
  await stop()
}
process.exit(ok ? 0 : 1)
