// The whole system on one machine: a local chain, one validator, four miners as processes of their
// own, Redis, stores, a user with a job. Nothing is staged: signatures, queues, uploads, downloads,
// scores and extrinsics are real. Exit code 0 only when every promise held.
//
//   npm run demo -- [--media clip.mp4] [--keep] [--rounds N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openState } from '../dist/validator/state/open.js'
import { Board } from './demo/board.mjs'
import { checkClip, makeCorpus } from './demo/media.mjs'
import { ROOT, until } from './demo/processes.mjs'
import { collectRounds, writeReport } from './demo/report.mjs'
import { API_KEY, MINERS, System } from './demo/system.mjs'
import { User } from './demo/user.mjs'

const USAGE = `usage: npm run demo -- [options]

  --media FILE   make the challenges from your own clip
  --rounds N     rounds to play (default 3)
  --keep         leave everything running afterwards, with its addresses
  --out FOLDER   where the report goes (default demo-report)

With BUCKET_* set, results go to that bucket instead of the miners' own stores. With COMFYUI_SERVERS
(and COMFYUI_TOKENS) set, those servers generate the video instead of a stand-in.
`
/** Kinds of rounds that are played one after the other; generation is played beside them. */
const KINDS = 2
const started = performance.now()
const board = new Board(MINERS)
const promises = []
const promise = (what, kept, detail = '') => promises.push({ what, kept, detail })
const cleanup = []

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        media: { type: 'string' },
        keep: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '3' },
        out: { type: 'string', default: 'demo-report' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const rounds = Number(values.rounds)
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50)
      throw new Error('--rounds must be a number from 1 to 50')
    return { ...values, rounds }
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function main(options) {
  // npm runs this in the package's folder, wherever it was called.
  const clip = options.media && resolve(process.env.INIT_CWD ?? '.', options.media)
  if (clip !== undefined) await checkClip(clip)
  const dir = await mkdtemp(join(tmpdir(), 'subreel-demo-'))
  cleanup.push(() => {
    if (failed) board.say(`its logs and files stay in ${dir}`)
    else return rm(dir, { recursive: true, force: true })
  })
  board.say(`working in ${dir}`)
  const corpus = join(dir, 'corpus')
  board.say('cutting clips for the challenges')
  await makeCorpus(corpus, clip)

  const system = new System({ dir, corpus, say: (line) => board.say(line) })
  cleanup.push(() => system.close())
  await system.openGround()
  await system.openComfy()
  board.say('starting the miners')
  await system.openMiners()
  board.say('starting the gateway and the validator')
  await system.openGateway()
  const seen = { committed: 0, generated: 0, voided: [], weightsAfter: 0 }
  await system.openValidator((validator) => watch(validator, seen, KINDS * options.rounds))
  board.say(`the gateway takes jobs at ${system.gateway} (its document: /docs)`)

  const killed = system.killWorkerInTheMiddle()
  killed.catch((error) => board.say(`the crash could not be staged: ${error.message}`))
  await until(() => seen.committed >= KINDS, 'the first round', 240)
  board.say('a user uploads a clip to be compressed')
  const user = new User(system.gateway, API_KEY)
  const job = user.follow(await user.submit(join(corpus, 'clip-0.mp4')))
  await until(
    () => seen.committed >= KINDS * options.rounds,
    `${options.rounds} rounds`,
    240 * options.rounds,
  )
  await until(() => seen.generated >= options.rounds, 'the rounds of generation', 120)
  const lastBlock = (await system.chain.head()).number
  await killed
  const jobResult = await job
  board.say(
    `the user's job ${jobResult.url === undefined ? `ended ${jobResult.state}` : 'is done'}`,
  )
  board.say('waiting for weights that count all rounds')
  const weights = await weightsAfter(system, lastBlock)

  const db = await openState(system.database)
  cleanup.push(() => db.destroy())
  const all = await collectRounds(db, corpus, join(dir, 'replay'), system.comfy)
  const [generated, others] = [
    all.filter(isGeneration),
    all.filter((round) => !isGeneration(round)),
  ]
  const rounds = [...generated.slice(0, options.rounds), ...others.slice(0, KINDS * options.rounds)]
  judge({ rounds, weights, jobResult, seen })
  const report = await writeReport({
    out: resolve(ROOT, options.out),
    rounds,
    miners: MINERS,
    weights,
    promises,
    seconds: (performance.now() - started) / 1000,
  })
  board.finish({ rounds, weights, promises, report, userResult: jobResult.url, kept: options.keep })
  if (options.keep) await keep(system)
  return promises.every(({ kept }) => kept)
}

const isGeneration = ({ kind }) => kind === 'generation'

/** Shows what the validator does until the last of the rounds that count. */
function watch(validator, seen, wanted) {
  const counts = () => seen.committed < wanted
  const generates = (roundId) => roundId.includes('-generation-')
  validator.on('round.opened', ({ roundId }) => {
    if (generates(roundId)) board.say(`round ${roundId} opened`)
    else if (counts()) board.opened(roundId)
  })
  validator.on('task.scored', (answer) => {
    if (counts()) board.scored(answer)
  })
  validator.on('round.committed', ({ roundId, seconds }) => {
    if (generates(roundId)) {
      seen.generated += 1
      return board.committed(roundId, seconds)
    }
    if (!counts()) return
    seen.committed += 1
    board.committed(roundId, seconds)
  })
  validator.on('round.voided', ({ roundId, error }) => {
    if (!counts()) return
    seen.voided.push(roundId)
    board.say(`round ${roundId} is void: ${error?.message ?? 'the fault is ours'}`)
  })
  validator.on('weights.updated', ({ block }) => {
    // Once per round: the epochs of this chain are seconds long.
    if (seen.committed > seen.weightsAfter) board.say(`weights set on chain in block ${block}`)
    seen.weightsAfter = seen.committed
  })
}

/** The validator's weights, read from the chain once it has set them after `block`. */
async function weightsAfter({ chain, netuid, validatorUid }, block) {
  const updated = async () =>
    (await chain.metagraph(netuid)).neurons[validatorUid].lastUpdate > block
  await until(updated, 'weights on chain', 90)
  return chain.weights(netuid, validatorUid)
}

function judge({ rounds, weights, jobResult, seen }) {
  const weightOf = ({ uid }) => weights.get(uid) ?? 0
  const [honest, mortal, slow, cheat] = MINERS
  const above = (better, worse) =>
    promise(
      `${better.name} outranks ${worse.name}`,
      weightOf(better) > weightOf(worse),
      `${weightOf(better)} > ${weightOf(worse)}`,
    )
  const lost = rounds
    .flatMap(({ scores }) => scores)
    .filter(({ uid, outcome }) => uid === mortal.uid && UNANSWERED.has(outcome))
  promise('every round was committed, none void', seen.voided.length === 0, seen.voided.join(', '))
  above(honest, slow)
  above(slow, cheat)
  promise(
    'no task of the killed worker was lost',
    lost.length === 0,
    lost.map(({ reason }) => reason).join('; '),
  )
  const paid = ({ uid }) =>
    rounds
      .filter(isGeneration)
      .map(({ scores }) => scores.find((score) => score.uid === uid)?.score ?? 0)
  promise(
    'generated videos are paid, ones that were made before they were asked for are not',
    paid(honest).every((score) => score > 0.9) && paid(cheat).every((score) => score === 0),
    `${paid(honest).map(short).join(', ')}; ${paid(cheat).map(short).join(', ')}`,
  )
  promise('the user got a video that plays', jobResult.playable === true, jobResult.state)
  const set = [...weights.values()].some((value) => value > 0)
  promise('weights are on chain', set, `${weights.size} uids`)
}
const short = (score) => score.toFixed(2)
const UNANSWERED = new Set(['no_answer', 'refused', 'empty_url', 'download_failed'])

async function keep({ devnet, gateway, redis, logDir }) {
  board.say('everything keeps running:')
  for (const [what, where] of [
    ['chain', devnet.url],
    ['gateway', `${gateway}/docs (key ${API_KEY})`],
    ['Redis', redis.url],
    ['logs', logDir],
  ])
    board.say(`  ${what.padEnd(8)} ${where}`)
  board.say('press Ctrl-C to stop')
  await new Promise((done) => {
    onInterrupt = done
  })
}

let failed = false
let stopping
/** Ends everything that was started, once however often it is asked to. */
function stop() {
  stopping ??= (async () => {
    board.close()
    for (const close of cleanup.splice(0).reverse()) await Promise.resolve(close()).catch(() => {})
  })()
  return stopping
}
let onInterrupt = async () => {
  board.say('stopping')
  await stop()
  process.exit(130)
}
process.once('SIGINT', () => onInterrupt())
process.once('SIGTERM', () => onInterrupt())

const options = readOptions()
if (options.help) process.stdout.write(USAGE)
else {
  let ok = false
  try {
    ok = await main(options)
    failed = !ok
  } catch (error) {
    // What an interrupt ends fails by that.
    failed = stopping === undefined
    if (failed) board.say(`the demo failed: ${error.message}`)
  }
  await stop()
  process.exit(ok ? 0 : 1)
}
