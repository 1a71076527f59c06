// A server to be measured, in a process of its own. Prints its port.
// Usage: server.js axon|door|echo|trusting|unguarded
import { once } from 'node:events'
import { createServer } from 'node:net'
import fastify from 'fastify'
import { type AxonOptions, createAxon, FLOOD_LIMITS, type Handler, serve } from 'subreel/axon'
import { type RequestOf, VideoUpscaling } from 'subreel/protocol'
import { signerFromUri } from 'subreel/wallet'
import { PeerMap } from '../../support/axon.js'

const kind = process.argv[2] ?? 'axon'

/** The bare server, echoing JSON: what the axon's work is compared to. */
async function echo(): Promise<number> {
  const app = fastify()
  app.post('/:synapse', (request) => request.body)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

/** Closes every connection at once: somewhere else for a flood to go. */
async function door(): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}

const NO_LIMIT = { perSecond: 1e9, burst: 1e9 }

const upscaled = ({ miner_payload: payload }: RequestOf<typeof VideoUpscaling>) => ({
  miner_response: { optimized_video_url: `${payload.reference_video_url}.optimized` },
})

/** As a handler that works for long. */
const watchful: Handler<typeof VideoUpscaling> = (request, { signal }) => {
  signal.throwIfAborted()
  return upscaled(request)
}

async function axon(options: Partial<AxonOptions> = {}): Promise<number> {
  const peers = new PeerMap()
  for (let i = 0; i < 256; i += 1) peers.add(signerFromUri(`//Caller//${i}`), { stake: i })
  const made = createAxon({
    wallet: signerFromUri('//Bob'),
    peers,
    rateLimit: NO_LIMIT,
    synapses: [serve({ definition: VideoUpscaling, handler: upscaled })],
    ...options,
  })
  return (await made.listen({ host: '127.0.0.1', port: 0 })).port
}

const servers: Record<string, () => Promise<number>> = {
  axon,
  door,
  echo,
  /** Takes strangers and their signatures as they are. */
  trusting: () =>
    axon({
      access: { allowUnregistered: true },
      verifier: { verify: () => true },
      synapses: [serve({ definition: VideoUpscaling, handler: watchful })],
    }),
  /** Answers every bad request rather than shun its sender. */
  unguarded: () => axon({ floodLimits: { ...FLOOD_LIMITS, refusedPerAddress: NO_LIMIT } }),
}
const start = servers[kind]
if (start === undefined) throw new Error(`no server ${kind}: there are ${Object.keys(servers)}`)
const port = await start()
process.stdout.write(`${port}\n`)
