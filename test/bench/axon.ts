// The axon beside a bare Fastify echo and the Python axon of bittensor 10.5.0, on the same signed
// requests. Usage: npm run bench -- axon [signed] [flood] [forged] [memory]
// The Python axon needs `node scripts/interop.mjs --install-only` once, or an interpreter with
// bittensor==10.5.0 that SUBREEL_BENCH_PYTHON names.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { encodeAddress, type Signer, signerFromUri } from 'subreel/wallet'
import { freePort } from '../support/ports.js'
import { nextNonce } from '../support/signed.js'
import {
  cpuSeconds,
  type Load,
  percentile,
  quantile,
  residentBytes,
  runLoad,
} from './support/load.js'
import { signedRequest, unsignedRequest, uuidOf } from './support/signed.js'

const CONNECTIONS = 32
const SIGNED = 10_000
/** The Python axon answers some 70 a second. */
const SIGNED_PYTHON = 600
const UNSIGNED = 40_000
const FORGED_SECONDS = 3
const FORGED_ROUNDS = 3
const FORGED_PER_SECOND = 5000
const MEMORY_REQUESTS = 1_000_000
const MEMORY_HOTKEYS = 100_000
const MEMORY_STEP = 100_000

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

const ours = (kind: 'axon' | 'door' | 'echo' | 'trusting' | 'unguarded') =>
  start(kind, process.execPath, [
    fileURLToPath(new URL('./support/server.js', import.meta.url)),
    kind,
  ])

async function python(): Promise<Server | undefined> {
  const interpreter = process.env['SUBREEL_BENCH_PYTHON'] ?? '.cache/interop/venv-10.5.0/bin/python'
  if (!existsSync(interpreter)) {
    say(
      `python axon: not measured, ${interpreter} is missing: node scripts/interop.mjs --install-only makes it`,
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

interface Attack {
  /** Resolves to what came back: statuses and their counts. */
  readonly over: Promise<ReadonlyMap<number, number>>
}

/**
 * Attackers have machines of their own. Here theirs is the same, so they take what cores the server and
 * the honest caller leave idle; that they reach their rate all the same is printed.
 */
const YIELDING = ['chrt', '--idle', '0']

async function attack(port: number, connections: number, seconds: number): Promise<Attack> {
  const script = fileURLToPath(new URL('./support/attack.js', import.meta.url))
  const args = [port, FORGED_PER_SECOND, seconds, connections].map(String)
  const [command = '', ...rest] = [...YIELDING, process.execPath, script, ...args]
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const over = once(child.stdout, 'data').then(
    ([report]) => new Map<number, number>(JSON.parse(String(report))),
  )
  return { over }
}

const joined = (loads: readonly Load[]): Float64Array =>
  Float64Array.from(loads.flatMap(({ latencies }) => [...latencies])).sort()

/**
 * An honest caller, one request after another: alone, while the flood goes to another server of this
 * machine (what the flood costs the machine), and while it goes to the axon. Taken in turns.
 */
async function forged(connections: number): Promise<void> {
  const over = connections === 0 ? 'ever new connections' : `${connections} connections`
  say(`an honest caller under ${FORGED_PER_SECOND} forged requests per second over ${over}`)
  const axon = await ours('axon')
  const other = await ours('door')
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
  const among = async (port: number) => {
    const flood = await attack(port, connections, FORGED_SECONDS + 1)
    const load = await honest(FORGED_SECONDS)
    return { load, statuses: await flood.over }
  }
  await honest(1)
  const loads: Record<'alone' | 'beside' | 'under', Load[]> = { alone: [], beside: [], under: [] }
  for (let round = 0; round < FORGED_ROUNDS; round += 1) {
    loads.alone.push(await honest(FORGED_SECONDS))
    loads.beside.push((await among(other.port)).load)
    const before = cpuSeconds(axon.pid)
    const { load, statuses } = await among(axon.port)
    loads.under.push(load)
    const cpu = (cpuSeconds(axon.pid) - before) / (FORGED_SECONDS + 1)
    const sent = [...statuses.values()].reduce((sum, count) => sum + count, 0)
    const text = [...statuses].map(([status, count]) => `${status}×${count}`).join(' ')
    say(
      `  flood    ${sent} in ${FORGED_SECONDS + 1} s: ${text}; the axon used ${Math.round(cpu * 100)} % of a core`,
    )
  }
  await axon.stop()
  await other.stop()
  const p99: Record<string, number> = {}
  for (const [name, taken] of Object.entries(loads)) {
    const latencies = joined(taken)
    const ok = taken.reduce((sum, { statuses }) => sum + (statuses.get(200) ?? 0), 0)
    p99[name] = quantile(latencies, 0.99)
    say(
      `  ${name.padEnd(8)} ${ok} of ${latencies.length} served, p50 ${quantile(latencies, 0.5).toFixed(2)} ms, ` +
        `p99 ${quantile(latencies, 0.99).toFixed(2)} ms`,
    )
  }
  const { alone = 0, beside = 0, under = 0 } = p99
  ratio("honest caller's p99, under the flood / alone", under / alone, '≤ 2')
  ratio('the same, a flood to another server / alone', beside / alone, 'what the machine does')
}

/**
 * Resident memory over a million accepted requests of a hundred thousand hotkeys, each under a uuid
 * of its own. Signatures are taken as right: making so many would take an hour.
 */
async function memory(): Promise<void> {
  say(`memory over ${MEMORY_REQUESTS} accepted requests of ${MEMORY_HOTKEYS} hotkeys`)
  const axon = await ours('trusting')
  const signature = new Uint8Array(64)
  const hotkeys = Array.from({ length: MEMORY_HOTKEYS }, (_, i) => {
    const publicKey = Buffer.alloc(32, 7)
    publicKey.writeUInt32LE(i)
    return { ...caller(0), publicKey, address: encodeAddress(publicKey), sign: () => signature }
  })
  let made = 0
  const resident: number[] = []
  for (let end = MEMORY_STEP; end <= MEMORY_REQUESTS; end += MEMORY_STEP) {
    const { statuses } = await runLoad({
      port: axon.port,
      connections: CONNECTIONS,
      next: () => {
        if (made >= end) return undefined
        made += 1
        const sender = hotkeys[made % MEMORY_HOTKEYS] ?? caller(0)
        return signedRequest({ sender, receiver, uuid: uuidOf(made) })
      },
    })
    if (statuses.get(200) !== MEMORY_STEP) throw new Error(`refused: ${[...statuses]}`)
    resident.push(residentBytes(axon.pid))
    say(`  after ${made}: ${Math.round((resident.at(-1) ?? 0) / 2 ** 20)} MiB`)
  }
  await axon.stop()
  const half = resident.slice(0, resident.length / 2)
  const rest = resident.slice(resident.length / 2)
  ratio(
    'most of the second half / most of the first',
    Math.max(...rest) / Math.max(...half),
    '≤ 1.1',
  )
}

say(`${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`)
if (wanted('signed')) await signed()
if (wanted('flood')) await flood()
if (wanted('forged')) {
  await forged(CONNECTIONS)
  await forged(0)
}
if (wanted('memory')) await memory()
