import type { CallOptions, Chain, EpochInfo, Head, Metagraph, Neuron } from '../chain/types.js'
import type { Hotkey, Netuid } from '../protocol/units.js'
import type { MinerTarget } from './ports.js'

/** What miners may share without being one: by default everything but their key. */
export type OneMinerPer = 'hotkey' | 'coldkey' | 'ip'

/** The subnet as of the last sync, shared by the duties. */
export class Network {
  readonly chain: Chain
  readonly netuid: Netuid
  readonly self: Hotkey
  readonly #oneMinerPer: OneMinerPer
  #metagraph: Metagraph | undefined
  #byHotkey: ReadonlyMap<string, Neuron> = new Map()
  #shared: ReadonlyMap<number, number> = new Map()
  #head: Head | undefined
  #epoch: EpochInfo | undefined

  constructor(
    chain: Chain,
    netuid: Netuid,
    self: Hotkey,
    { oneMinerPer = 'hotkey' }: { readonly oneMinerPer?: OneMinerPer } = {},
  ) {
    this.chain = chain
    this.netuid = netuid
    this.self = self
    this.#oneMinerPer = oneMinerPer
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
    this.#shared = this.#findShared(metagraph.neurons)
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

  /** Neurons that serve an axon, without ourselves; of several that count as one, the first registered. */
  miners(): MinerTarget[] {
    return this.#serving(({ uid }) => !this.#shared.has(uid))
  }

  /** Neurons that are asked nothing, because an earlier one has their address or coldkey. */
  shared(): { readonly uid: number; readonly with: number }[] {
    return Array.from(this.#shared, ([uid, other]) => ({ uid, with: other }))
  }

  /** Uid of who is left out → uid of the one who came before. */
  #findShared(neurons: readonly Neuron[]): Map<number, number> {
    const by = this.#oneMinerPer
    if (by === 'hotkey') return new Map()
    const first = new Map<string, number>()
    const shared = neurons
      .filter(({ axon, hotkey }) => axon !== undefined && hotkey !== this.self)
      .sort((a, b) => a.registeredAt - b.registeredAt || a.uid - b.uid)
      .flatMap(({ uid, hotkey, coldkey, axon }) => {
        const key = by === 'coldkey' ? coldkey : (axon?.ip ?? hotkey)
        const before = first.get(key)
        if (before === undefined) first.set(key, uid)
        return before === undefined ? [] : [[uid, before] as const]
      })
    return new Map(shared)
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
