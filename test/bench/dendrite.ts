// One request to 256 axons, ours beside the Python dendrite 10.5.0 in the same run, against the same
// axons in a process of their own. Needs `node scripts/interop.mjs --install-only` once.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createDendrite } from 'subreel/dendrite'
import { LengthCheck } from 'subreel/protocol'
import { PythonHelper } from '../interop/helper.js'
import { KEYS } from '../support/axon.js'

const AXONS = Number(process.argv[2] ?? 256)
const ROUNDS = Number(process.argv[3] ?? 5)
const WARMUP = 2

interface Round {
  readonly good: number
  readonly wallMs: number
  readonly cpuMs: number
}

async function ours(ports: readonly number[]): Promise<Round[]> {
  await using dendrite = createDendrite({
    wallet: KEYS.alice,
    protocol: 'legacy',
    allowPrivate: true,
  })
  const targets = ports.map((port) => ({ hotkey: KEYS.bob.address, ip: '127.0.0.1', port }))
  const rounds: Round[] = []
  for (let i = 0; i < WARMUP + ROUNDS; i += 1) {
    const cpu = process.cpuUsage()
    const started = performance.now()
    const outcomes = await dendrite.forward(
      targets,
      LengthCheck,
      {},
      {
        concurrency: AXONS,
        timeoutMs: 30_000,
      },
    )
    const used = process.cpuUsage(cpu)
    const good = outcomes.filter((o) => o.ok && o.response.max_content_length === 10).length
    const wallMs = performance.now() - started
    if (i >= WARMUP) rounds.push({ good, wallMs, cpuMs: (used.user + used.system) / 1e3 })
  }
  return rounds
}

async function python(ports: readonly number[]): Promise<Round[]> {
  const plan = { uri: '//Alice', hotkey: KEYS.bob.address, ports, warmup: WARMUP, rounds: ROUNDS }
  await using helper = new PythonHelper('10.5.0', 'bench_dendrite.py', plan, false)
  const rounds: Round[] = []
  for (let i = 0; i < ROUNDS; i += 1) rounds.push(await helper.next<Round>())
  return rounds
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

function line(name: string, rounds: readonly Round[]) {
  const cpuMs = median(rounds.map((round) => round.cpuMs))
  const wallMs = median(rounds.map((round) => round.wallMs))
  const lost = rounds.reduce((sum, round) => sum + AXONS - round.good, 0)
  const perCpuSecond = (AXONS / cpuMs) * 1e3
  console.log(
    `${name.padEnd(16)} ${wallMs.toFixed(0).padStart(7)} ms a round ${cpuMs.toFixed(0).padStart(7)} ms CPU ` +
      `${perCpuSecond.toFixed(0).padStart(7)} calls per CPU-second  ${lost} failed`,
  )
  return { wallMs, cpuMs, lost }
}

const axons = fork(new URL('./support/static-axons.js', import.meta.url), [String(AXONS)])
const [ports] = (await once(axons, 'message')) as [number[]]
try {
  console.log(`one request to ${AXONS} axons, median of ${ROUNDS} rounds after ${WARMUP}`)
  const mine = line('subreel', await ours(ports))
  const theirs = line('python 10.5.0', await python(ports))
  console.log(
    `ratio: ${(theirs.cpuMs / mine.cpuMs).toFixed(1)} times the calls per CPU-second, ` +
      `a round in 1/${(theirs.wallMs / mine.wallMs).toFixed(1)} of the time`,
  )
  if (mine.lost > 0) process.exitCode = 1
} finally {
  axons.disconnect()
}
