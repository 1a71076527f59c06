import type { WeightEntry, WeightLedger } from '../../chain/index.js'
import type { Logger } from '../../lib/log.js'
import { toUid } from '../../protocol/index.js'
import { keepOnly, type LedgerRules } from '../../scoring/ledger.js'
import { computeWeights, type WeightConfig } from '../../scoring/weights.js'
import type { Signer } from '../../wallet/index.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import { blockTimeMs, type LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import type { Lease } from '../state/lease.js'

export interface WeightOptions {
  readonly everyMs: number
  /** Blocks between two settings; once per epoch of the subnet when absent. */
  readonly epochLength: number | undefined
  readonly config: WeightConfig
  readonly rules: LedgerRules
}

export interface WeightModules {
  readonly network: Network
  readonly signer: Signer
  readonly lease: Pick<Lease, 'take'>
  readonly ledger: LedgerState
  readonly weightLedger: WeightLedger
  readonly metrics: ValidatorMetrics
  readonly log: Logger
}

interface Vector {
  readonly uids: readonly number[]
  readonly weights: readonly number[]
}

/** States of a vector that is on chain, or will be without us. */
const ON_CHAIN: ReadonlySet<WeightEntry['state']> = new Set(['included', 'verified', 'revealed'])
const RECENT = 32

/**
 * Sets weights once per epoch and keeps trying within it until they are on chain. The vector comes
 * from the ledger; when that has nothing usable, the last good vector goes again, with an alarm.
 * Zeros, NaN and empty vectors cannot leave this class.
 */
export class WeightDuty implements Duty {
  readonly name = 'weights'
  readonly everyMs: number
  readonly #options: WeightOptions
  readonly #modules: WeightModules
  #revealedIn = -1

  constructor(options: WeightOptions, modules: WeightModules) {
    this.everyMs = options.everyMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, signer, weightLedger, metrics, lease } = this.#modules
    const { chain, netuid } = network
    const self = network.neuron(signer.address)
    if (self === undefined) return skipped('our hotkey is not registered on the subnet')
    // A rival that took the lease meanwhile sets the weights from now on.
    await lease.take()
    const epoch = await chain.epoch(netuid, { signal })
    metrics.weightsAge.set(Math.max(0, epoch.block - self.lastUpdate))
    await this.#reveal(epoch.index, signal)
    const recent = await weightLedger.list({ hotkey: signer.address, netuid, mechanism: 0 }, RECENT)
    const last = recent.find(({ state }) => ON_CHAIN.has(state))
    if (last !== undefined && this.#isFresh(last, epoch))
      return skipped('weights of this epoch are on chain')
    const vector = this.#vector(epoch.block) ?? this.#again(last)
    if (vector === undefined) return skipped('nothing has been scored yet')
    return this.#submit(vector, signal)
  }

  #isFresh(last: WeightEntry, epoch: { readonly index: number; readonly block: number }): boolean {
    const { epochLength } = this.#options
    if (epochLength === undefined) return last.epoch >= epoch.index
    return epoch.block - (last.includedAt ?? last.block) < epochLength
  }

  async #submit(vector: Vector, signal: AbortSignal): Promise<DutyResult> {
    const { network, signer, metrics, log } = this.#modules
    const request = {
      netuid: network.netuid,
      uids: vector.uids.map(toUid),
      weights: vector.weights,
    }
    const result = await network.chain.setWeights(signer, request, { signal })
    metrics.weightSets.inc({ outcome: result.outcome })
    if (result.outcome === 'included') {
      const { block, method, verified } = result
      log.info(
        { event: 'weights.updated', block, method, verified, miners: vector.uids.length },
        'weights of the epoch are set',
      )
      return DONE
    }
    if (result.outcome === 'unchanged') return skipped('the chain has this vector already')
    if (result.action === 'stop') {
      log.error(
        { event: 'weights.refused', error: result.error },
        'the chain refuses our weights until somebody acts',
      )
    }
    return skipped(`the chain refused: ${result.error}`)
  }

  /** Salted commits open in the epoch after theirs; timelocked ones need nobody. */
  async #reveal(epoch: number, signal: AbortSignal): Promise<void> {
    if (this.#revealedIn === epoch) return
    const { network, signer } = this.#modules
    await network.chain.revealWeights(signer, { netuid: network.netuid }, { signal })
    this.#revealedIn = epoch
  }

  #vector(block: number): Vector | undefined {
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

  #again(last: WeightEntry | undefined): Vector | undefined {
    if (last === undefined) return undefined
    this.#modules.log.error(
      { event: 'weights.repeated', miners: last.uids.length },
      'no usable scores: the last good weights are sent again',
    )
    return { uids: last.uids, weights: last.values }
  }
}
