import type { CallOptions, Chain, EpochInfo, Head, Metagraph, Neuron } from '../chain/types.js'
import type { Hotkey, Netuid } from '../protocol/units.js'
import type { MinerTarget } from './ports.js'

/** The subnet as of the last sync, shared by the duties. */
export class Network {
  readonly chain: Chain
  readonly netuid: Netuid
  readonly self: Hotkey
  #metagraph: Metagraph | undefined
  #byHotkey: ReadonlyMap<string, Neuron> = new Map()
  #head: Head | undefined
  #epoch: EpochInfo | undefined

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
    this.#byHotkey = new Map(metagraph.neurons.map((neuron) => [neuron.hotkey, neuron]))
    // An owner may have begun an epoch early.
    this.#epoch = undefined
  }

  sawHead(head: Head): void {
    this.#head = head
  }

  /** Where the subnet is in its epochs. Asks the chain once per epoch and sync, and counts heads in between. */
  async epoch(options: CallOptions): Promise<EpochInfo> {
    const known = this.#epoch
    const block = this.#head?.number
    if (known !== undefined && block !== undefined) {
      const passed = Math.max(0, block - known.block)
      if (passed <= known.blocksUntilNext) {
        return { ...known, block, blocksUntilNext: known.blocksUntilNext - passed }
      }
    }
    this.#epoch = await this.chain.epoch(this.netuid, options)
    return this.#epoch
  }

  neuron(hotkey: string): Neuron | undefined {
    return this.#byHotkey.get(hotkey)
  }

  /** Neurons that serve an axon, without ourselves. */
  miners(): MinerTarget[] {
    return this.#serving(() => true)
  }

  /** Those of them with a validator permit. */
  validators(): MinerTarget[] {
    return this.#serving((neuron) => neuron.validatorPermit)
  }

  #serving(which: (neuron: Neuron) => boolean): MinerTarget[] {
    const neurons = this.#metagraph?.neurons ?? []
    return neurons
      .filter(which)
      .flatMap(({ hotkey, uid, axon }) =>
        axon === undefined || hotkey === this.self
          ? []
          : { hotkey, uid, ip: axon.ip, port: axon.port, version: axon.version },
      )
  }
}
