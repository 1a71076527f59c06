// Rounds over many miners that live in a process of their own: how long the validator's event loop is
// held up, beside a thread that does nothing in the same run, and what its memory does.
// Usage: npm run bench -- rounds [miners] [rounds]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import type { MinerTarget } from '#src/validator/ports.js'
import { scratch } from '../support/miner.js'
import { RoundRig } from '../support/round-rig.js'

const MINERS = Number(process.argv[2] ?? 256)
const ROUNDS = Number(process.argv[3] ?? 200)
/** Rounds that compile code and fill caches: left out of the figures. */
const WARMUP = Math.min(20, Math.floor(ROUNDS / 4))
const RESOLUTION_MS = 5

const idle = new Worker(
  `const { parentPort } = require('node:worker_threads')
   const { monitorEventLoopDelay } = require('node:perf_hooks')
   const delay = monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} })
   delay.enable()
   parentPort.on('message', (message) => {
     if (message === 'reset') return delay.reset()
     parentPort.postMessage([delay.percentile(99), delay.max])
   })`,
  { eval: true },
)

/** Time beyond the timer's own interval, in milliseconds. */
const lagMs = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS)

const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)

const { dir, remove } = await scratch()
const crowd = fork(new URL('../support/crowd-process.js', import.meta.url), [String(MINERS)])
const [targets] = (await once(crowd, 'message')) as [MinerTarget[]]
const rig = await RoundRig.open({ location: `${dir}/state.db`, dir })
const delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
try {
  const outcomes = new Map<string, number>()
  const rss: number[] = []
  const seconds: number[] = []
  delay.enable()
  for (let round = 0; round < WARMUP + ROUNDS; round += 1) {
    if (round === WARMUP) {
      delay.reset()
      idle.postMessage('reset')
    }
    const started = performance.now()
    const result = await rig.play(round, targets)
    if (result.outcome !== 'committed') throw new Error(`round ${round} was not committed`)
    if (round < WARMUP) continue
    seconds.push((performance.now() - started) / 1e3)
    rss.push(process.memoryUsage.rss())
    for (const { outcome } of result.scores) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  delay.disable()
  idle.postMessage('report')
  const [[idleP99, idleMax]] = (await once(idle, 'message')) as [[number, number]]
  const own = { p99: lagMs(delay.percentile(99)), max: lagMs(delay.max) }
  seconds.sort((a, b) => a - b)
  const median = seconds[Math.floor(seconds.length / 2)] ?? Number.NaN
  console.log(`${ROUNDS} rounds over ${MINERS} miners, median ${median.toFixed(2)} s a round`)
  console.log([...outcomes].map(([outcome, n]) => `${outcome} ${n}`).join(', '))
  console.log(
    `lag of the event loop: p99 ${own.p99.toFixed(1)} ms, longest ${own.max.toFixed(1)} ms; ` +
      `of an idle thread in the same run: p99 ${lagMs(idleP99).toFixed(1)} ms, longest ${lagMs(idleMax).toFixed(1)} ms`,
  )
  const half = Math.ceil(rss.length / 2)
  const mean = (part: readonly number[]) => part.reduce((sum, v) => sum + v, 0) / part.length
  const [first, second] = [mean(rss.slice(0, half)), mean(rss.slice(-half))]
  console.log(
    `memory: ${megabytes(first)} MiB in the first half, ${megabytes(second)} MiB in the second, ` +
      `${(second / first).toFixed(3)} of it; most ${megabytes(Math.max(...rss))} MiB`,
  )
} finally {
  crowd.disconnect()
  await idle.terminate()
  await rig[Symbol.asyncDispose]()
  await remove()
}
