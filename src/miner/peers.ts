import type { Peer, Peers } from '../axon/index.js'
import type { Chain, Metagraph, Neuron } from '../chain/types.js'
import type { Clock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import type { Netuid } from '../protocol/index.js'

export interface MetagraphPeersModules {
  readonly chain: Pick<Chain, 'metagraph'>
  readonly clock: Clock
  readonly log: Logger
}

/** Between two reads of the metagraph: stake and registrations change by the block, not faster. */
const REFRESH_MS = 60_000
/** Older than this, readiness says so; callers that were registered then are still served. */
const STALE_MS = 15 * REFRESH_MS

/** Who is registered on the subnet, as of the last metagraph that could be read. */
export class MetagraphPeers implements Peers {
  readonly #netuid: Netuid
  readonly #modules: MetagraphPeersModules
  #neurons = new Map<string, Neuron>()
  #readMs = Number.NEGATIVE_INFINITY

  constructor(netuid: Netuid, modules: MetagraphPeersModules) {
    this.#netuid = netuid
    this.#modules = modules
  }

  lookup(hotkey: string): Peer | undefined {
    const neuron = this.#neurons.get(hotkey)
    if (neuron === undefined) return undefined
    const { uid, stake, validatorPermit } = neuron
    return { hotkey: neuron.hotkey, uid, stake, validatorPermit }
  }

  neuron(hotkey: string): Neuron | undefined {
    return this.#neurons.get(hotkey)
  }

  /** Reads the metagraph once. */
  async refresh(signal: AbortSignal): Promise<Metagraph> {
    const { chain, clock, log } = this.#modules
    const metagraph = await chain.metagraph(this.#netuid, { signal })
    this.#neurons = new Map(metagraph.neurons.map((neuron) => [neuron.hotkey, neuron]))
    this.#readMs = clock.monotonic()
    const { block, neurons } = metagraph
    log.debug({ event: 'metagraph.read', block, neurons: neurons.length }, 'read the metagraph')
    return metagraph
  }

  /** Reads it again and again until the signal aborts. */
  keepFresh(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#modules
    const onError = (error: unknown) =>
      log.warn(
        { event: 'metagraph.read-failed', reason: describeError(error) },
        'the metagraph could not be read; the last one is used',
      )
    return runEvery({ clock, signal, everyMs: REFRESH_MS, onError }, async () => {
      await this.refresh(signal)
    })
  }

  /** @throws Error when the last reading is too old to rely on */
  requireFresh(): void {
    const ageMs = this.#modules.clock.monotonic() - this.#readMs
    if (ageMs > STALE_MS) throw new Error(`the metagraph is ${Math.round(ageMs / 1_000)} s old`)
  }
}
