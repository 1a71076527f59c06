import type { EpochInfo, WeightEntry, WeightLedger } from '../../chain/index.js'
import type { Logger } from '../../lib/log.js'
import { toUid, type Uid } from '../../protocol/index.js'
import { keepOnly, type LedgerRules } from '../../scoring/ledger.js'
import { computeWeights, type WeightConfig } from '../../scoring/weights.js'
import type { Signer } from '../../wallet/index.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import { blockTimeMs, type LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import type { EmissionStore } from '../state/emissions.js'
import type { Lease } from '../state/lease.js'

export interface WeightOptions {
  readonly everyMs: number
  /** Blocks between two settings; once per epoch of the subnet when absent. */
  readonly epochLength: number | undefined
  readonly config: WeightConfig
  /** Who gets `config.burn`. */
  readonly burnUid?: Uid
  readonly rules: LedgerRules
}

export interface WeightModules {
  readonly network: Network
  readonly signer: Signer
  readonly lease: Pick<Lease, 'take'>
  readonly ledger: LedgerState
  readonly weightLedger: WeightLedger
  readonly emissions: Pick<EmissionStore, 'retained'>
  readonly metrics: ValidatorMetrics
  readonly log: Logger
}

interface Vector {
  readonly uids: readonly number[]
  readonly weights: readonly number[]
}

/** States of a vector that is on chain, or will be without us. */
const ON_CHAIN: ReadonlySet<WeightEntry['state']> = new Set(['included', 'verified', 'revealed'])
const ON_CHAIN_ALREADY = 'weights of this epoch are on chain'
const RECENT = 32
/** Shares of the activity cut-off at which the age of our weights is worth a warning, and an alarm. */
const STALE = { warn: 0.5, error: 0.8 } as const

const nextEpoch = ({ block, blocksUntilNext }: EpochInfo): number => block + blocksUntilNext + 1

/**
 * Sets weights once per epoch and keeps trying within it until they are on chain. The vector comes
 * from the ledger; when that has nothing usable, the last good vector goes again, with an alarm.
 * Zeros, NaN and empty vectors cannot leave this class. Between two settings it asks nobody anything.
 */
export class WeightDuty implements Duty {
  readonly name = 'weights'
  readonly everyMs: number
  readonly deadlineMs = 600_000
  readonly #options: WeightOptions
  readonly #modules: WeightModules
  #epoch = -1
  /** Nothing can be done before this block of the epoch, and why. */
  #wait = { until: 0, reason: '' }
  #stale: keyof typeof STALE | undefined

  constructor(options: WeightOptions, modules: WeightModules) {
    this.everyMs = options.everyMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, signer, weightLedger, lease, metrics } = this.#modules
    const self = network.neuron(signer.address)
    if (self === undefined) return skipped('our hotkey is not registered on the subnet')
    const epoch = await network.epoch({ signal })
    metrics.weightsAge.set(Math.max(0, epoch.block - self.lastUpdate))
    if (epoch.index !== this.#epoch) await this.#enter(epoch, self.lastUpdate, signal)
    if (epoch.block < this.#wait.until) return skipped(this.#wait.reason)
    const query = { hotkey: signer.address, netuid: network.netuid, mechanism: 0 }
    const recent = await weightLedger.list(query, RECENT)
    const last = recent.find(({ state }) => ON_CHAIN.has(state))
    const next = last === undefined ? 0 : this.#nextBlock(last, epoch)
    if (next > epoch.block) return this.#waitUntil(next, ON_CHAIN_ALREADY)
    const vector = (await this.#vector(epoch.block)) ?? this.#again(last)
    if (vector === undefined) return this.#waitUntil(epoch.block + 1, 'nothing has been scored yet')
    // A rival that took the lease meanwhile sets the weights from now on.
    await lease.take()
    return this.#submit(vector, epoch, signal)
  }

  /** What is due once per epoch. Salted commits open in the epoch after theirs; timelocked ones need nobody. */
  async #enter(epoch: EpochInfo, lastUpdate: number, signal: AbortSignal): Promise<void> {
    const { network, signer } = this.#modules
    const { chain, netuid } = network
    if (this.#options.epochLength === undefined) this.#wait = { until: 0, reason: '' }
    await chain.revealWeights(signer, { netuid }, { signal })
    const { activityCutoff } = await chain.hyperparameters(netuid, { signal })
    this.#modules.metrics.weightsCutoff.set(activityCutoff)
    // A validator that has never set weights has none that could age.
    if (lastUpdate > 0) this.#warnOfAge(epoch.block - lastUpdate, activityCutoff)
    this.#epoch = epoch.index
  }

  /** The chain stops counting validators whose weights are older than its cut-off. */
  #warnOfAge(blocks: number, cutoff: number): void {
    const share = blocks / cutoff
    const level = share >= STALE.error ? 'error' : share >= STALE.warn ? 'warn' : undefined
    if (level !== undefined && level !== this.#stale)
      this.#modules.log[level](
        { event: 'weights.aged', blocks, cutoff },
        'our weights come close to being ignored',
      )
    this.#stale = level
  }

  /** The first block at which the next vector is due after `last`. */
  #nextBlock(last: WeightEntry, epoch: EpochInfo): number {
    const { epochLength } = this.#options
    if (epochLength !== undefined) return (last.includedAt ?? last.block) + epochLength
    return last.epoch >= epoch.index ? nextEpoch(epoch) : 0
  }

  #waitUntil(until: number, reason: string): DutyResult {
    this.#wait = { until, reason }
    return skipped(reason)
  }

  async #submit(vector: Vector, epoch: EpochInfo, signal: AbortSignal): Promise<DutyResult> {
    const { network, signer, metrics, log } = this.#modules
    const request = {
      netuid: network.netuid,
      uids: vector.uids.map(toUid),
      weights: vector.weights,
    }
    const result = await network.chain.setWeights(signer, request, { signal })
    metrics.weightSets.inc({ outcome: result.outcome })
    if (result.outcome === 'included') {
      const { method, verified } = result
      log.info(
        {
          event: 'weights.updated',
          block: result.block,
          method,
          verified,
          miners: vector.uids.length,
        },
        'weights of the epoch are set',
      )
      const { epochLength } = this.#options
      const next = epochLength === undefined ? nextEpoch(epoch) : result.block + epochLength
      this.#waitUntil(next, ON_CHAIN_ALREADY)
      return DONE
    }
    if (result.outcome === 'unchanged')
      return this.#waitUntil(nextEpoch(epoch), 'the chain has this vector already')
    if (result.action === 'stop') {
      log.error(
        { event: 'weights.refused', error: result.error },
        'the chain refuses our weights until somebody acts',
      )
    }
    return this.#waitUntil(result.retryAt ?? epoch.block + 1, `the chain refused: ${result.error}`)
  }

  async #vector(block: number): Promise<Vector | undefined> {
    const { network, ledger, signer, emissions } = this.#modules
    const { config, rules, burnUid } = this.#options
    const neurons = (network.metagraph?.neurons ?? []).filter(
      ({ hotkey }) => hotkey !== signer.address,
    )
    const retained =
      config.liquidationFactor > 0 ? await emissions.retained() : new Map<string, number>()
    const outcome = computeWeights({
      ledger: keepOnly(
        ledger.current,
        neurons.map(({ hotkey }) => hotkey),
      ),
      neurons: neurons.map(({ uid, hotkey, alphaStake }) => {
        const share = retained.get(hotkey)
        return {
          uid,
          hotkey,
          alpha: alphaStake,
          ...(share === undefined ? {} : { retained: share }),
        }
      }),
      nowMs: blockTimeMs(block),
      config,
      rules,
      ...(burnUid === undefined ? {} : { burnUid }),
    })
    if (outcome.kind !== 'weights') return undefined
    return {
      uids: outcome.entries.map(({ uid }) => uid),
      weights: outcome.entries.map(({ weight }) => weight),
    }
  }

  /** The last good vector, without uids that somebody else has by now. */
  #again(last: WeightEntry | undefined): Vector | undefined {
    if (last === undefined) return undefined
    const neurons = this.#modules.network.metagraph?.neurons ?? []
    const earned = new Set<number>(
      neurons.filter(({ registeredAt }) => registeredAt <= last.block).map(({ uid }) => uid),
    )
    const kept = last.uids.flatMap((uid, i) =>
      earned.has(uid) ? { uid, weight: last.values[i] ?? 0 } : [],
    )
    if (!kept.some(({ weight }) => weight > 0)) return undefined
    this.#modules.log.error(
      { event: 'weights.repeated', miners: kept.length },
      'no usable scores: the last good weights are sent again',
    )
    return { uids: kept.map(({ uid }) => uid), weights: kept.map(({ weight }) => weight) }
  }
}
