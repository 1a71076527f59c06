// A server to be measured, in a process of its own. Prints its port. Usage: server.js axon|echo|open|unguarded
import fastify from 'fastify'
import { createAxon, FLOOD_LIMITS, serve } from 'subreel/axon'
import { VideoUpscaling } from 'subreel/protocol'
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

const NO_LIMIT = { perSecond: 1e9, burst: 1e9 }

/** `open` takes strangers; `unguarded` answers every bad request rather than shun its sender. */
async function axon(open: boolean, unguarded: boolean): Promise<number> {
  const peers = new PeerMap()
  for (let i = 0; i < 256; i += 1) peers.add(signerFromUri(`//Caller//${i}`), { stake: i })
  const made = createAxon({
    wallet: signerFromUri('//Bob'),
    peers,
    access: { allowUnregistered: open },
    floodLimits: unguarded ? { ...FLOOD_LIMITS, refusedPerAddress: NO_LIMIT } : FLOOD_LIMITS,
    rateLimit: NO_LIMIT,
    synapses: [
      serve({
        definition: VideoUpscaling,
        handler: ({ miner_payload: payload }) => ({
          miner_response: { optimized_video_url: `${payload.reference_video_url}.optimized` },
        }),
      }),
    ],
  })
  return (await made.listen({ host: '127.0.0.1', port: 0 })).port
}

const port = kind === 'echo' ? await echo() : await axon(kind === 'open', kind === 'unguarded')
process.stdout.write(`${port}\n`)
