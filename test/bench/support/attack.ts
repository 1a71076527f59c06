// Sends forged requests at a steady rate, in a process of its own so that its work is not taken for
// the server's. Prints what came back as JSON: statuses and their counts, 0 for connections closed
// without an answer. Usage: attack.js PORT PER_SECOND SECONDS CONNECTIONS
// With 0 connections each request comes over one of its own.
import { connect } from 'node:net'
import { signerFromUri } from 'subreel/wallet'
import { runLoad } from './load.js'
import { signedRequest, uuidOf } from './signed.js'

const [port = 0, perSecond = 0, seconds = 0, connections = 1] = process.argv.slice(2).map(Number)
const ATTACKER = '127.0.0.2'
/** An attacker who opens a connection for each request gives up on it after so long. */
const PATIENCE_MS = 100
/** Connections begun before those under way get a turn. */
const BURST = 8

const receiver = signerFromUri('//Bob').address
const pool = Array.from({ length: 2550 }, (_, i) => {
  const sender = signerFromUri(`//Caller//${1 + (i % 255)}`)
  return signedRequest({ sender, receiver, uuid: uuidOf(1 + i), forged: true })
})
const started = performance.now()
let sent = 0

/** The next request when it is time for it, or undefined when the attack is over. */
async function next(): Promise<Buffer | undefined> {
  for (;;) {
    const elapsed = (performance.now() - started) / 1000
    if (elapsed > seconds) return undefined
    if (sent < elapsed * perSecond) return pool[sent++ % pool.length]
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** One request over a connection of its own. Resolves to the status. */
function knock(request: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER })
    const end = (status: number) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(status)
    }
    const timer = setTimeout(end, PATIENCE_MS, 0)
    socket.on('data', (chunk) => end(Number(chunk.toString('latin1', 9, 12))))
    socket.on('error', () => end(0))
    socket.on('close', () => end(0))
    socket.write(request)
  })
}

async function knockOn(): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const open = new Set<Promise<void>>()
  for (;;) {
    const request = await next()
    if (request === undefined) break
    const done = knock(request).then((status) => {
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      open.delete(done)
    })
    open.add(done)
    // Behind its rate, `next` never waits, and nothing would be sent or closed.
    if (sent % BURST === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(open)
  return statuses
}

process.stdout.write('ready\n')
const statuses =
  connections === 0
    ? await knockOn()
    : (await runLoad({ port, connections, localAddress: ATTACKER, next })).statuses
process.stdout.write(`${JSON.stringify([...statuses])}\n`)
