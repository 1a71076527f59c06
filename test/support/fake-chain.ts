import type { Chain, Metagraph, Neuron, ServeRequest, Submission } from '#src/chain/types.js'
import { toBlockNumber, toColdkey, toNetuid, toRao, toUid } from '#src/protocol/index.js'
import { signerFromUri } from '#src/wallet/index.js'

export interface FakeNeuron {
  /** Development key, e.g. `//Bob`. */
  readonly uri: string
  readonly stake: number
  readonly validatorPermit: boolean
}

/** A subnet that stands still: registered neurons, and a record of who announced which axon. */
export class FakeChain implements Pick<Chain, 'metagraph' | 'serveAxon' | 'close'> {
  readonly served: ServeRequest[] = []
  readonly #neurons: readonly Neuron[]

  constructor(neurons: readonly FakeNeuron[]) {
    this.#neurons = neurons.map(({ uri, stake, validatorPermit }, uid) => {
      const hotkey = signerFromUri(uri).address
      return {
        uid: toUid(uid),
        hotkey,
        coldkey: toColdkey(hotkey),
        stake,
        alphaStake: stake,
        taoStake: 0,
        active: true,
        validatorPermit,
        trust: 0,
        incentive: 0,
        dividends: 0,
        consensus: 0,
        emission: toRao(0n),
        lastUpdate: toBlockNumber(1),
        registeredAt: toBlockNumber(1),
        axon: undefined,
      }
    })
  }

  async metagraph(): Promise<Metagraph> {
    return {
      netuid: toNetuid(1),
      block: toBlockNumber(1),
      blockHash: `0x${'00'.repeat(32)}`,
      neurons: this.#neurons,
    }
  }

  async serveAxon(_signer: unknown, request: ServeRequest): Promise<Submission> {
    this.served.push(request)
    return { outcome: 'unchanged' }
  }

  async close(): Promise<void> {}
}
