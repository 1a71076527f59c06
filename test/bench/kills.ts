/**
 * Kills (SIGKILL) a miner's worker, axon or Redis at random moments while it works on real clips, and
 * counts what was lost, done twice, left running or left on disk, and how long it took to go on.
 *
 *   npm run bench -- kills [--kills 100] [--of worker,axon,redis] [--seed WORD]
 */
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { SystemClock } from '#src/lib/clock.js'
import { SeededRng } from '#src/lib/rng.js'
import { VideoUpscalingJob, VideoUpscalingPoll } from '#src/protocol/index.js'
import { makeClip } from '../support/clips.js'
import { ClipServer, caller, MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { processesWith } from '../support/processes.js'
import { TestRedis } from '../support/redis.js'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    of: { type: 'string', default: 'worker,axon,redis' },
    seed: { type: 'string', default: 'kills' },
  },
})
/** Jobs of each round; all must be done before the next kill. */
const AT_ONCE = 2
const EVENTS = '{subreel}:lane-upscale:events'

const clock = new SystemClock()
const rng = new SeededRng(values.seed)
const { dir, remove } = await scratch()
const redis = await TestRedis.start()
const clips = await ClipServer.start(dir)
const target = await minerTarget()
await makeClip(join(dir, 'clip.mp4'), { frames: 60, size: '320x180' })
const bob = caller('//Bob')
const start = (role: string) =>
  MinerProcess.start({
    redisUrl: redis.url,
    dir,
    port: target.port,
    flags: ['--role', role, '--queue.max_waiting', '100', '--miner.tasks', 'upscaling'],
  })
let worker = await start('worker')
let axon = await start('axon')

/** What can be killed, and how it comes back. */
const VICTIMS: Readonly<Record<string, () => Promise<void>>> = {
  worker: async () => {
    await worker.end('SIGKILL')
    orphans += await leftRunning()
    worker = await start('worker')
  },
  axon: async () => {
    await axon.end('SIGKILL')
    axon = await start('axon')
  },
  redis: async () => {
    await redis.kill()
    await clock.sleep(rng.int(1_000))
    await redis.up()
  },
}

/** Tools that are still there a while after their worker's death: dying takes its time on a busy machine. */
async function leftRunning(): Promise<number> {
  const tools = () => processesWith(join(dir, 'temp', 'subreel-work'))
  for (let n = 0; n < 50 && (await tools()).length > 0; n += 1) await clock.sleep(100)
  return (await tools()).length
}

let orphans = 0
const jobs: string[] = []

async function submit(): Promise<void> {
  const job_id = randomUUID()
  const reference_video_url = clips.url('/clip.mp4', `?${job_id}`)
  const payload = { job_id, miner_payload: { reference_video_url } }
  const answer = await bob.call(target, VideoUpscalingJob, payload)
  if (answer.ok) jobs.push(job_id)
}

/** The last word on a job; while axon or Redis is away there is none. */
async function ended(job_id: string): Promise<string> {
  for (;;) {
    const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
    const status = answer.ok ? answer.response.poll_response.status : 'away'
    if (status !== 'processing' && status !== 'away') return status
    await clock.sleep(200)
  }
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? 0

interface Round {
  readonly killedAtMs: number
  readonly backMs: number
  /** The last word on each of its jobs. */
  readonly states: readonly string[]
}

async function round(victim: string): Promise<Round> {
  const first = jobs.length
  for (let more = 0; more < AT_ONCE; more += 1) await submit()
  await clock.sleep(rng.int(4_000))
  const killedAtMs = clock.now()
  await VICTIMS[victim]?.()
  const backMs = clock.now() - killedAtMs
  return { killedAtMs, backMs, states: await Promise.all(jobs.slice(first).map(ended)) }
}

/** From each kill to the next start of a job that had been running, and how often each job completed. */
async function history(killedAtMs: readonly number[]) {
  const client = new Redis(redis.url)
  const completed = new Map<string, number>()
  const restarts: number[] = []
  const startedAtMs = new Map<string, number>()
  for (const [at, fields] of await client.xrange(EVENTS, '-', '+')) {
    const of = (name: string) => fields[fields.indexOf(name) + 1] ?? ''
    const id = of('jobId')
    const atMs = Number(at.split('-')[0])
    if (of('event') === 'active') {
      const before = startedAtMs.get(id) ?? Number.POSITIVE_INFINITY
      const kill = killedAtMs.find((killMs) => before < killMs && killMs < atMs)
      if (kill !== undefined) restarts.push(atMs - kill)
      startedAtMs.set(id, atMs)
    }
    if (of('event') === 'completed') completed.set(id, (completed.get(id) ?? 0) + 1)
  }
  client.disconnect()
  return { completed, restarts }
}

for (const victim of values.of.split(',')) {
  jobs.length = 0
  orphans = 0
  const rounds: Round[] = []
  for (let n = 0; n < Number(values.kills); n += 1) rounds.push(await round(victim))
  const states = new Map<string, number>()
  for (const state of rounds.flatMap((one) => one.states)) {
    states.set(state, (states.get(state) ?? 0) + 1)
  }
  const { completed, restarts } = await history(rounds.map(({ killedAtMs }) => killedAtMs))
  const twice = [...completed.values()].filter((count) => count > 1).length
  const entries = await readdir(join(dir, 'temp', 'subreel-work'), { recursive: true })
  const left = entries.filter((name) => name.includes('/')).length
  const back = rounds.map(({ backMs }) => backMs)
  process.stdout.write(
    `${victim}: ${rounds.length} kills, ${jobs.length} jobs accepted: ${JSON.stringify(Object.fromEntries(states))}, ` +
      `${twice} done twice, ${orphans} tools left running, ${left} files left\n` +
      `  back after ${median(back)} ms, ${Math.max(...back)} at most; ${restarts.length} jobs were hit and started again ` +
      `${median(restarts)} ms after the kill, ${Math.max(0, ...restarts)} at most\n`,
  )
}
await bob.close()
await axon.end()
await worker.end()
await clips.close()
await redis.close()
await remove()
