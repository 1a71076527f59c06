import type { Chain, Head, Metagraph, Neuron } from '../chain/types.js'
import type { Hotkey, Netuid } from '../protocol/units.js'
import type { MinerTarget } from './ports.js'

/** The subnet as of the last sync, shared by the duties. */
export class Network {
  readonly chain: Chain
  readonly netuid: Netuid
  readonly self: Hotkey
  #metagraph: Metagraph | undefined
  #head: Head | undefined

  constructor(chain: Chain, netuid: Netuid, self: Hotkey) {
    this.chain = chain
    this.netuid = netuid
    this.self = self
  }

  /** Undefined before the first sync. */
  get metagraph(): Metagraph | undefined {
    return this.#metagraph
  }

  get head(): Head | undefined {
    return this.#head
  }

  update(head: Head, metagraph: Metagraph): void {
    this.#head = head
    this.#metagraph = metagraph
  }

  sawHead(head: Head): void {
    this.#head = head
  }

  neuron(hotkey: string): Neuron | undefined {
    return this.#metagraph?.neurons.find((neuron) => neuron.hotkey === hotkey)
  }

  /** Neurons that serve an axon, without ourselves. */
  miners(): MinerTarget[] {
    const neurons = this.#metagraph?.neurons ?? []
    return neurons.flatMap(({ hotkey, uid, axon }) =>
      axon === undefined || hotkey === this.self
        ? []
        : { hotkey, uid, ip: axon.ip, port: axon.port, version: axon.version },
    )
  }
}
