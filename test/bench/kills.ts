// Kills the worker of a miner (SIGKILL) at random moments while it works on real clips, and counts what
// was lost, done twice, left running or left on disk. Usage: npm run bench -- kills [kills]
import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { SystemClock } from '#src/lib/clock.js'
import { SeededRng } from '#src/lib/rng.js'
import { VideoUpscalingJob, VideoUpscalingPoll } from '#src/protocol/index.js'
import { makeClip } from '../support/clips.js'
import { ClipServer, caller, MinerProcess, minerTarget, scratch } from '../support/miner.js'
import { processesWith } from '../support/processes.js'
import { TestRedis } from '../support/redis.js'

const KILLS = Number(process.argv[2] ?? 100)
/** Jobs of each round; all must be done before the next kill. */
const AT_ONCE = 2

const clock = new SystemClock()
const rng = new SeededRng('kills')
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
const axon = await start('axon')

const jobs: string[] = []
async function submit(): Promise<void> {
  const job_id = randomUUID()
  const reference_video_url = clips.url('/clip.mp4', `?${job_id}`)
  const answer = await bob.call(target, VideoUpscalingJob, {
    job_id,
    miner_payload: { reference_video_url },
  })
  if (answer.ok) jobs.push(job_id)
}

async function statusOf(job_id: string): Promise<string> {
  const answer = await bob.call(target, VideoUpscalingPoll, { job_id })
  return answer.ok ? answer.response.poll_response.status : `${answer.statusCode}`
}

async function ended(job: string): Promise<string> {
  for (;;) {
    const state = await statusOf(job)
    if (state !== 'processing') return state
    await clock.sleep(200)
  }
}

let orphans = 0
const killedAtMs: number[] = []
for (let n = 0; n < KILLS; n += 1) {
  for (let more = 0; more < AT_ONCE; more += 1) await submit()
  await clock.sleep(rng.int(4_000))
  killedAtMs.push(clock.now())
  await worker.end('SIGKILL')
  await clock.sleep(100)
  orphans += (await processesWith(join(dir, 'temp', 'subreel-work'))).length
  worker = await start('worker')
  for (const job of jobs.slice(-AT_ONCE)) await ended(job)
}
const states = new Map<string, number>()
for (const job of jobs) {
  const state = await ended(job)
  states.set(state, (states.get(state) ?? 0) + 1)
}
const client = new Redis(redis.url)
const completed = new Map<string, number>()
/** From each kill to the next start of a job that had been running. */
const restarts: number[] = []
const startedAtMs = new Map<string, number>()
for (const [at, fields] of await client.xrange('{subreel}:lane-upscale:events', '-', '+')) {
  const of = (name: string) => fields[fields.indexOf(name) + 1] ?? ''
  const id = of('jobId')
  const atMs = Number(at.split('-')[0])
  if (of('event') === 'active') {
    const before = startedAtMs.get(id)
    const kill = killedAtMs.find(
      (killMs) => before !== undefined && before < killMs && killMs < atMs,
    )
    if (kill !== undefined) restarts.push(atMs - kill)
    startedAtMs.set(id, atMs)
  }
  if (of('event') === 'completed') completed.set(id, (completed.get(id) ?? 0) + 1)
}
client.disconnect()
const twice = [...completed.values()].filter((count) => count > 1).length
const entries = await readdir(join(dir, 'temp', 'subreel-work'), { recursive: true })
const left = entries.filter((name) => name.includes('/')).length
console.log(
  `${KILLS} kills, ${jobs.length} jobs: ${completed.size} completed, ${twice} twice, ${orphans} tools left running, ${left} files left`,
)
console.log(
  `${restarts.length} jobs were hit and started again, the slowest ${Math.max(0, ...restarts)} ms after the kill`,
)
console.log(`last word of the polls: ${JSON.stringify(Object.fromEntries(states))}`)
await bob.close()
await axon.end()
await worker.end()
await clips.close()
await redis.close()
await remove()
