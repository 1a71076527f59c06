import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { Network } from '../network.js'
import type { EmissionStore } from '../state/emissions.js'

const RAO = 1e9

/** Writes down once per epoch what every neuron earned and holds. */
export class EmissionDuty implements Duty {
  readonly name = 'emissions'
  readonly everyMs = 6_000
  readonly deadlineMs = 60_000
  readonly #network: Network
  readonly #emissions: EmissionStore
  #epoch = { index: -1, sinceBlock: 0, recorded: false }

  constructor(network: Network, emissions: EmissionStore) {
    this.#network = network
    this.#emissions = emissions
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { metagraph } = this.#network
    if (metagraph === undefined) return skipped('the subnet has not been read yet')
    const { index, block } = await this.#network.epoch({ signal })
    if (index !== this.#epoch.index) this.#epoch = { index, sinceBlock: block, recorded: false }
    if (this.#epoch.recorded) return skipped('this epoch is recorded')
    // Emission is paid at the step between epochs: a metagraph of before it is an epoch old.
    if (metagraph.block < this.#epoch.sinceBlock)
      return skipped('the subnet has not been read in this epoch yet')
    await this.#emissions.record(
      index,
      metagraph.neurons.map(({ uid, hotkey, emission, alphaStake }) => ({
        ...{ uid, hotkey, alphaStake },
        emission: Number(emission) / RAO,
      })),
    )
    this.#epoch.recorded = true
    return DONE
  }
}
