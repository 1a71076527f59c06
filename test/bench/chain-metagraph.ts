// Processor time to read and decode a subnet of 256 neurons, beside polkadot's own api on the same node.
// Usage: npm run bench -- chain-metagraph
import { ApiPromise, WsProvider } from '@polkadot/api'
import type { ProviderInterface } from '@polkadot/rpc-provider/types'
import { decodeMetagraph } from '#src/chain/metagraph.js'
import { Runtime } from '#src/chain/runtime.js'
import { RpcSocket } from '#src/chain/socket.js'
import { startDevnet } from '#src/devnet/index.js'
import { SystemClock } from '#src/lib/clock.js'
import { must } from '#src/lib/errors.js'
import { toNetuid } from '#src/protocol/units.js'
import { clientOf } from '../support/chain-harness.js'

const NEURONS = 256
const RUNS = 20

const neurons = Array.from({ length: NEURONS }, (_, i) => ({
  hotkey: `//Neuron${i}`,
  stake: i,
  validatorPermit: i < 64,
  axon: { ip: `10.0.0.${(i % 250) + 1}`, port: 8091 },
}))
const net = await startDevnet({ blocks: 'manual', runtime: 393, subnets: [{ netuid: 1, neurons }] })
net.advance(2)

async function measure(run: () => Promise<unknown> | unknown): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < RUNS; i += 1) {
    // Processor time: other programs on the machine do not count.
    const start = process.cpuUsage()
    await run()
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1000)
  }
  times.sort((a, b) => a - b)
  return must(times[Math.floor(RUNS / 2)], 'median')
}

const chain = clientOf([net])
// The cast: polkadot's own class does not fit its own interface under exact optional properties.
const provider = new WsProvider(net.url) as unknown as ProviderInterface
const api = await ApiPromise.create({ provider, noInitWarn: true })
const socket = await RpcSocket.connect(net.url, {
  clock: new SystemClock(),
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 5_000,
})
const runtime = await Runtime.load(socket, new Map())
const method = must(runtime.method('SubnetInfoRuntimeApi', 'get_metagraph'), 'get_metagraph')
const answer = await socket.request('state_call', [method.name, method.encode(1)])
const call = must(api.call['subnetInfoRuntimeApi']?.['getMetagraph'], 'getMetagraph')
const ours = await measure(() => chain.metagraph(toNetuid(1)))
const parsed = await measure(() => decodeMetagraph(method.decode(String(answer))))
const theirs = await measure(async () => (await call(1)).toJSON())
console.log(`whole sync, the node's part included, median of ${RUNS}: ${ours.toFixed(1)} ms`)
console.log(`of which decoding and checking what arrived: ${parsed.toFixed(1)} ms`)
console.log(
  `polkadot's api.call to plain JSON: ${theirs.toFixed(1)} ms (ours ${(ours / theirs).toFixed(2)}x)`,
)
await runtime.close()
socket.close()
await chain.close()
await api.disconnect()
await net.close()
