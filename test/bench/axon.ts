// The axon beside a bare Fastify echo and the Python axon of bittensor 10.5.0, on the same signed
// requests. Usage: npm run bench -- axon [signed] [flood] [forged] [memory]
// The Python axon needs an interpreter with bittensor==10.5.0: SUBREEL_BENCH_PYTHON names it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type Signer, signerFromUri } from 'subreel/wallet'
import { freePort } from '../support/ports.js'
import { nextNonce } from '../support/signed.js'
import { cpuSeconds, type Load, percentile, residentBytes, runLoad } from './support/load.js'
import { signedRequest, unsignedRequest, uuidOf } from './support/signed.js'

const CONNECTIONS = 32
const SIGNED = 10_000
/** The Python axon answers some 70 a second. */
const SIGNED_PYTHON = 600
const UNSIGNED = 40_000
const FORGED_SECONDS = 8
const FORGED_PER_SECOND = 5000
const MEMORY_HOTKEYS = 100_000

const chosen = new Set(process.argv.slice(2))
const wanted = (part: string) => chosen.size === 0 || chosen.has(part)
const say = (line: string) => process.stdout.write(`${line}\n`)

const receiver = signerFromUri('//Bob').address
const callers = Array.from({ length: 256 }, (_, i) => signerFromUri(`//Caller//${i}`))
const caller = (i: number): Signer => callers[i % callers.length] ?? signerFromUri('//Caller//0')

interface Server {
  readonly name: string
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

async function start(name: string, command: string, args: readonly string[]): Promise<Server> {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const { stdout, pid } = child
  if (stdout === null || pid === undefined) throw new Error(`${name} did not start`)
  const [line] = await once(stdout, 'data')
  return {
    name,
    pid,
    port: Number(String(line).trim().split('\n').at(-1)),
    stop: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

const ours = (kind: 'axon' | 'echo' | 'open' | 'unguarded') =>
  start(kind, process.execPath, [
    fileURLToPath(new URL('./support/server.js', import.meta.url)),
    kind,
  ])

async function python(): Promise<Server | undefined> {
  const interpreter = process.env['SUBREEL_BENCH_PYTHON'] ?? '.cache/py/bin/python'
  if (!existsSync(interpreter)) {
    say(
      `python axon: not measured, ${interpreter} is missing (python -m venv, pip install bittensor==10.5.0)`,
    )
    return undefined
  }
  const port = await freePort()
  const script = fileURLToPath(
    new URL('../../../test/bench/support/python-axon.py', import.meta.url),
  )
  const server = await start('python', interpreter, [script, String(port)])
  for (;;) {
    const probe = await runLoad({ port, connections: 1, next: once1(unsignedRequest()) })
    if (!probe.statuses.has(0)) return server
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

/** One request, then none. */
function once1(request: Buffer): () => Buffer | undefined {
  let left: Buffer | undefined = request
  return () => {
    const now = left
    left = undefined
    return now
  }
}

/** All are signed before the first is sent; on a busy machine the last must not be stale by then. */
const AHEAD_NS = 10_000_000_000n

/** Requests in the order they were signed, each connection with a uuid of its own. */
function lanes(count: number): (connection: number) => Buffer | undefined {
  const per = Math.ceil(count / CONNECTIONS)
  const ready = Array.from({ length: CONNECTIONS }, (_, lane) =>
    Array.from({ length: per }, () =>
      signedRequest({
        sender: caller(lane),
        receiver,
        uuid: uuidOf(lane),
        timeoutS: 30,
        nonce: nextNonce() + AHEAD_NS,
      }),
    ),
  )
  const at = new Array<number>(CONNECTIONS).fill(0)
  return (lane) => {
    const index = at[lane] ?? 0
    at[lane] = index + 1
    return ready[lane]?.[index]
  }
}

interface Result {
  readonly load: Load
  readonly perCpuSecond: number
}

async function measure(
  server: Server,
  next: (connection: number) => Buffer | undefined,
): Promise<Result> {
  const before = cpuSeconds(server.pid)
  const load = await runLoad({ port: server.port, connections: CONNECTIONS, next })
  const cpu = cpuSeconds(server.pid) - before
  const result = { load, perCpuSecond: load.requests / cpu }
  const statuses = [...load.statuses].map(([status, count]) => `${status}×${count}`).join(' ')
  say(
    `  ${server.name.padEnd(8)} ${load.requests} requests, ${Math.round(load.requests / load.seconds)}/s, ` +
      `${Math.round(result.perCpuSecond)} per CPU-second, ` +
      `p50 ${percentile(load, 0.5).toFixed(1)} ms, p99 ${percentile(load, 0.99).toFixed(1)} ms, ${statuses}`,
  )
  return result
}

const ratio = (what: string, value: number, goal: string) =>
  say(`  ${what}: ${value.toFixed(2)} (goal ${goal})`)

async function signed(): Promise<void> {
  say(`signed requests over ${CONNECTIONS} connections`)
  const echo = await ours('echo')
  await measure(echo, lanes(SIGNED))
  await echo.stop()
  const axon = await ours('axon')
  await runLoad({ port: axon.port, connections: CONNECTIONS, next: lanes(2000) })
  const own = await measure(axon, lanes(SIGNED))
  await axon.stop()
  if (own.load.statuses.get(200) !== own.load.requests) throw new Error('some were refused')
  const peer = await python()
  if (peer === undefined) return
  const other = await measure(peer, lanes(SIGNED_PYTHON))
  await peer.stop()
  ratio('requests per CPU-second, axon / python', own.perCpuSecond / other.perCpuSecond, '≥ 15')
  ratio('p99, axon / python', percentile(own.load, 0.99) / percentile(other.load, 0.99), '≤ 0.25')
}

async function flood(): Promise<void> {
  say(`unsigned flood over ${CONNECTIONS} connections`)
  const request = unsignedRequest()
  const rates: Record<string, number> = {}
  for (const kind of ['echo', 'unguarded'] as const) {
    const server = await ours(kind)
    const counted = (count: number) => () => (count-- > 0 ? request : undefined)
    await runLoad({ port: server.port, connections: CONNECTIONS, next: counted(5000) })
    const { perCpuSecond } = await measure(server, counted(UNSIGNED))
    rates[kind] = perCpuSecond
    await server.stop()
  }
  ratio(
    'rejections per CPU-second, axon / echo',
    (rates['unguarded'] ?? 0) / (rates['echo'] ?? 1),
    '≥ 0.6',
  )
}

/** An honest caller, one request after another, alone and then among forgeries. */
async function forged(): Promise<void> {
  say(`an honest caller under ${FORGED_PER_SECOND} forged requests per second`)
  const axon = await ours('axon')
  const honest = (seconds: number) => {
    const until = performance.now() + seconds * 1000
    return runLoad({
      port: axon.port,
      connections: 1,
      next: () =>
        performance.now() < until
          ? signedRequest({ sender: caller(0), receiver, uuid: uuidOf(0) })
          : undefined,
    })
  }
  await honest(1)
  const alone = await honest(FORGED_SECONDS / 2)
  const attacker = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./support/attack.js', import.meta.url)),
      ...[axon.port, FORGED_PER_SECOND, FORGED_SECONDS, CONNECTIONS].map(String),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await once(attacker.stdout, 'data')
  const before = cpuSeconds(axon.pid)
  const among = await honest(FORGED_SECONDS - 1)
  const cpu = (cpuSeconds(axon.pid) - before) / (FORGED_SECONDS - 1)
  const [report] = await once(attacker.stdout, 'data')
  const statuses = new Map<number, number>(JSON.parse(String(report)))
  const sent = [...statuses.values()].reduce((sum, count) => sum + count, 0)
  await axon.stop()
  const text = [...statuses].map(([status, count]) => `${status}×${count}`).join(' ')
  say(
    `  forged   ${sent} in ${FORGED_SECONDS} s: ${text}; the axon used ${Math.round(cpu * 100)} % of a core`,
  )
  for (const [name, load] of [
    ['alone', alone],
    ['among', among],
  ] as const) {
    const ok = load.statuses.get(200) ?? 0
    say(
      `  ${name.padEnd(8)} ${ok} of ${load.requests} served, p50 ${percentile(load, 0.5).toFixed(2)} ms, ` +
        `p99 ${percentile(load, 0.99).toFixed(2)} ms`,
    )
  }
  ratio(
    "honest caller's p99, among / alone",
    percentile(among, 0.99) / percentile(alone, 0.99),
    '≤ 2',
  )
}

/** Accepted requests, each of a hotkey never seen before. */
async function memory(): Promise<void> {
  say(`memory over ${MEMORY_HOTKEYS} accepted requests, each of another hotkey`)
  const axon = await ours('open')
  let made = 0
  const batch = 10_000
  for (let done = 0; done < MEMORY_HOTKEYS; done += batch) {
    const end = done + batch
    await runLoad({
      port: axon.port,
      connections: CONNECTIONS,
      next: () => {
        if (made >= end) return undefined
        made += 1
        return signedRequest({
          sender: signerFromUri(`//N//${made}`),
          receiver,
          uuid: uuidOf(made),
        })
      },
    })
    say(`  after ${made}: ${Math.round(residentBytes(axon.pid) / 2 ** 20)} MiB`)
  }
  await axon.stop()
  say('memory of the gate over 1000000 requests of 100000 hotkeys, signatures taken as right')
  const soak = fileURLToPath(new URL('./support/gate-soak.js', import.meta.url))
  const child = spawn(process.execPath, ['--expose-gc', soak], { stdio: 'inherit' })
  await once(child, 'exit')
}

say(`${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`)
if (wanted('signed')) await signed()
if (wanted('flood')) await flood()
if (wanted('forged')) await forged()
if (wanted('memory')) await memory()
