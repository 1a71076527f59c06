import { describeError } from '../../lib/errors.js'
import type { Logger } from '../../lib/log.js'
import { toUid } from '../../protocol/units.js'
import { keepOnly, type LedgerRules } from '../../scoring/ledger.js'
import { computeWeights, type WeightConfig } from '../../scoring/weights.js'
import type { Signer } from '../../wallet/types.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import { blockTimeMs, type LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import type { WeightSetStore, WeightVector } from '../state/weights.js'

export interface WeightOptions {
  readonly everyMs: number
  /** Blocks between two settings; the subnet's tempo when absent. */
  readonly epochLength: number | undefined
  readonly config: WeightConfig
  readonly rules: LedgerRules
}

export interface WeightModules {
  readonly network: Network
  readonly signer: Signer
  readonly ledger: LedgerState
  readonly store: WeightSetStore
  readonly metrics: ValidatorMetrics
  readonly log: Logger
}

/**
 * Sets weights once per epoch, and keeps trying within it until they are on chain. The vector comes
 * from the ledger; when that has nothing usable, the last vector that went on chain is sent again
 * with an alarm. Zeros, NaN and empty vectors cannot leave this class.
 */
export class WeightDuty implements Duty {
  readonly name = 'weights'
  readonly everyMs: number
  readonly #options: WeightOptions
  readonly #modules: WeightModules

  constructor(options: WeightOptions, modules: WeightModules) {
    this.everyMs = options.everyMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, signer, store, log, metrics } = this.#modules
    const { chain, netuid, head } = network
    const self = network.neuron(signer.address)
    if (head === undefined || self === undefined)
      return skipped('our hotkey is not registered on the subnet')
    const last = await store.lastIncluded()
    const { tempo, weightsRateLimit } = await chain.hyperparameters(netuid, { signal })
    const length = this.#options.epochLength ?? Math.max(tempo, 1)
    const epoch = Math.floor(head.number / length)
    metrics.weightsAge.set(head.number - self.lastUpdate)
    if (last !== undefined && last.epoch >= epoch)
      return skipped('weights of this epoch are on chain')
    if (last !== undefined && head.number - self.lastUpdate < weightsRateLimit)
      return skipped('the rate limit of the chain has not passed')
    const vector = this.#vector(head.number) ?? (last === undefined ? undefined : this.#again(last))
    if (vector === undefined) return skipped('nothing has been scored yet')

    const id = await store.begin(epoch, vector)
    try {
      const result = await chain.setWeights(
        signer,
        { netuid, uids: vector.uids.map(toUid), weights: vector.weights },
        { signal },
      )
      await store.finish(id, result)
      metrics.weightSets.inc({ outcome: result.outcome })
      if (result.outcome === 'included') {
        log.info(
          {
            event: 'weights.set',
            epoch,
            block: result.block,
            method: result.method,
            miners: vector.uids.length,
          },
          'set weights',
        )
        return DONE
      }
      if (result.outcome === 'refused' && result.action === 'stop') {
        log.error(
          { event: 'weights.refused', error: result.error, message: result.message },
          'the chain refuses our weights until somebody acts',
        )
      }
      return skipped(
        result.outcome === 'refused'
          ? `the chain refused: ${result.error}`
          : 'the chain has this vector already',
      )
    } catch (error) {
      await store.fail(id, describeError(error))
      metrics.weightSets.inc({ outcome: 'failed' })
      throw error
    }
  }

  #vector(block: number): WeightVector | undefined {
    const { network, ledger, signer } = this.#modules
    const neurons = (network.metagraph?.neurons ?? []).filter(
      ({ hotkey }) => hotkey !== signer.address,
    )
    const outcome = computeWeights({
      ledger: keepOnly(
        ledger.current,
        neurons.map(({ hotkey }) => hotkey),
      ),
      neurons: neurons.map(({ uid, hotkey, alphaStake }) => ({ uid, hotkey, alpha: alphaStake })),
      nowMs: blockTimeMs(block),
      config: this.#options.config,
      rules: this.#options.rules,
    })
    if (outcome.kind !== 'weights') return undefined
    return {
      uids: outcome.entries.map(({ uid }) => uid),
      weights: outcome.entries.map(({ weight }) => weight),
    }
  }

  #again(last: WeightVector): WeightVector {
    this.#modules.log.error(
      { event: 'weights.repeated', miners: last.uids.length },
      'no usable scores: the last good weights are sent again',
    )
    return { uids: last.uids, weights: last.weights }
  }
}
