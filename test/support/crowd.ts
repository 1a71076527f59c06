import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { type Axon, createAxon, refuse, serve } from 'subreel/axon'
import { toUid, VideoCompression, VideoUpscaling } from 'subreel/protocol'
import { signerFromUri } from 'subreel/wallet'
import { GuardedFetcher } from '#src/lib/http/index.js'
import type { Outcome } from '#src/validator/outcomes.js'
import type { MinerTarget } from '#src/validator/ports.js'
import { PeerMap } from './axon.js'

/** What a miner of the crowd does, by its number: the same in every run. */
const MANNERS = ['honest', 'refuses', 'empty', 'honest', 'gone', 'dead', 'page', 'honest'] as const
type Manner = (typeof MANNERS)[number]

export const mannerOf = (index: number): Manner => MANNERS[index % MANNERS.length] ?? 'honest'

/** What the validator must make of it. */
export const EXPECTED: Readonly<Record<Manner, Outcome>> = {
  honest: 'scored',
  refuses: 'refused',
  empty: 'empty_url',
  gone: 'download_failed',
  dead: 'no_answer',
  page: 'bad_media',
}

const RESULT_BYTES = 32_768
/** Of a service that nobody has run for decades. */
const UNSERVED_PORT = 1

/** The bytes of a result: different for each miner and task, the same whenever it is asked. */
function resultOf(name: string): Buffer {
  const seed = createHash('sha256').update(name).digest()
  return Buffer.concat(Array.from({ length: RESULT_BYTES / seed.length }, () => seed))
}

/**
 * Many miners in one process, each a real axon with a key and a port of its own, that checks
 * signatures, fetches what it is given and serves its result over HTTP.
 */
export class Crowd {
  readonly targets: readonly MinerTarget[]
  readonly #axons: readonly Axon[]
  readonly #results: Server

  private constructor(targets: readonly MinerTarget[], axons: readonly Axon[], results: Server) {
    this.targets = targets
    this.#axons = axons
    this.#results = results
  }

  static async start(count: number, caller = signerFromUri('//Alice')): Promise<Crowd> {
    const peers = new PeerMap().add(caller)
    const fetcher = new GuardedFetcher({ allowPrivate: true })
    const results = createServer({ keepAlive: false }, (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://x')
      const [, manner, name = ''] = pathname.split('/')
      if (manner === 'gone') response.writeHead(404).end()
      else if (manner === 'page') response.end(`<html>${name}</html>`)
      else response.end(resultOf(name))
    })
    const origin = await listen(results)
    const axons: Axon[] = []
    const targets: MinerTarget[] = []
    for (let index = 0; index < count; index += 1) {
      const wallet = signerFromUri(`//Miner${index}`)
      const manner = mannerOf(index)
      const work = async (url: string, taskId: string | undefined) => {
        if (manner === 'refuses') throw refuse(503, 'busy')
        await fetcher.fetch(url).then(({ body }) => body.resume())
        const name = `${index}-${taskId ?? ''}`
        const optimized_video_url = manner === 'empty' ? '' : `${origin}/${manner}/${name}`
        return { miner_response: { optimized_video_url } }
      }
      const axon = createAxon({
        wallet,
        peers,
        synapses: [
          serve({
            definition: VideoCompression,
            handler: ({ miner_payload, round_id }) =>
              work(miner_payload.reference_video_url, round_id),
          }),
          serve({
            definition: VideoUpscaling,
            handler: ({ miner_payload, round_id }) =>
              work(miner_payload.reference_video_url, round_id),
          }),
        ],
      })
      const { port } =
        manner === 'dead'
          ? { port: UNSERVED_PORT }
          : await axon.listen({ host: '127.0.0.1', port: 0 })
      axons.push(axon)
      targets.push({ hotkey: wallet.address, uid: toUid(index), ip: '127.0.0.1', port })
    }
    return new Crowd(targets, axons, results)
  }

  async close(): Promise<void> {
    await Promise.all(this.#axons.map((axon) => axon.close()))
    this.#results.closeAllConnections()
    await new Promise((resolve) => this.#results.close(resolve))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}
