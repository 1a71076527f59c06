// Sends forged requests at a steady rate, in a process of its own so that its work is not taken for
// the server's. Prints statuses as JSON. Usage: attack.js PORT PER_SECOND SECONDS CONNECTIONS
import { signerFromUri } from 'subreel/wallet'
import { runLoad } from './load.js'
import { signedRequest, uuidOf } from './signed.js'

const [port = 0, perSecond = 0, seconds = 0, connections = 1] = process.argv.slice(2).map(Number)
const receiver = signerFromUri('//Bob').address
const pool = Array.from({ length: 2550 }, (_, i) => {
  const sender = signerFromUri(`//Caller//${1 + (i % 255)}`)
  return signedRequest({ sender, receiver, uuid: uuidOf(1 + i), forged: true })
})
process.stdout.write('ready\n')
const started = performance.now()
let sent = 0
const { statuses } = await runLoad({
  port,
  connections,
  localAddress: '127.0.0.2',
  next: async () => {
    for (;;) {
      const elapsed = (performance.now() - started) / 1000
      if (elapsed > seconds) return undefined
      if (sent < elapsed * perSecond) return pool[sent++ % pool.length]
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  },
})
process.stdout.write(`${JSON.stringify([...statuses])}\n`)
