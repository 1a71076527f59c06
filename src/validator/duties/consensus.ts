import type { Clock } from '../../lib/clock.js'
import type { Logger } from '../../lib/log.js'
import { mapLimit } from '../../lib/loop.js'
import { unit } from '../../scoring/formulas/numbers.js'
import { decayed, standingOf } from '../../scoring/ledger.js'
import type { TaskKind } from '../../scoring/types.js'
import type { Signer } from '../../wallet/index.js'
import {
  type Measured,
  type ReportDocument,
  readReport,
  type SignedReport,
  signReport,
} from '../consensus/document.js'
import { agreements, type ConsensusView, WINDOW_MS } from '../consensus/view.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import { blockTimeMs, type LedgerState } from '../ledger-state.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import type { MinerTarget } from '../ports.js'
import type { MinerStore } from '../state/miners.js'
import type { ReportStore } from '../state/reports.js'

export interface ConsensusOptions {
  readonly everyMs: number
  readonly kinds: readonly TaskKind[]
  /** A miner that has not answered for so long is not serving. */
  readonly silentMs: number
}

export interface ConsensusModules {
  readonly network: Network
  readonly miners: MinerStore
  readonly ledger: LedgerState
  readonly reports: ReportStore
  readonly view: ConsensusView
  readonly signer: Signer
  /** Asks another validator for its report; undefined when it has none to give. */
  readonly ask: (target: MinerTarget, signal: AbortSignal) => Promise<SignedReport | undefined>
  /** Users' tasks a miner works on now. */
  readonly load: (hotkey: string) => number
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: ValidatorMetrics
}

const CONCURRENCY = 16

/**
 * Says what we measured of every miner, asks the other validators the same, and keeps what they agree
 * on. One validator is one voice, however often it speaks; what is not signed by it is not heard.
 */
export class ConsensusDuty implements Duty {
  readonly name = 'consensus'
  readonly everyMs: number
  readonly deadlineMs = 200_000
  readonly #options: ConsensusOptions
  readonly #modules: ConsensusModules
  #latest: SignedReport = { document: '', signature: '' }
  #conflicts = new Set<string>()

  constructor(options: ConsensusOptions, modules: ConsensusModules) {
    this.everyMs = options.everyMs
    this.#options = options
    this.#modules = modules
  }

  /** Our newest report, for others. */
  get latest(): SignedReport {
    return this.#latest
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, reports, signer, view, clock, metrics } = this.#modules
    if (network.metagraph === undefined) return skipped('the subnet has not been read yet')
    const own = await this.#measure()
    this.#latest = signReport(signer, own)
    await reports.put(own, clock.now())
    await mapLimit(network.validators(), CONCURRENCY, (target) => this.#hear(target, signal))
    const nowMs = clock.now()
    await reports.prune(nowMs - WINDOW_MS)
    const agreed = agreements(await reports.since(nowMs - WINDOW_MS), nowMs)
    view.update(agreed)
    metrics.agreements.set(agreed.length)
    this.#tellConflicts(agreed)
    return DONE
  }

  /** What we measured and what the chain says; nothing that a miner claims. */
  async #measure(): Promise<ReportDocument> {
    const { network, miners, ledger, clock, load } = this.#modules
    const { kinds, silentMs } = this.#options
    const nowMs = clock.now()
    const active = new Map((await miners.active()).map((miner) => [miner.hotkey, miner]))
    const blockMs = blockTimeMs(network.head?.number ?? 0)
    const measured = network.miners().flatMap(({ hotkey, uid }): Measured[] => {
      const neuron = network.neuron(hotkey)
      if (neuron === undefined) return []
      const answeredAt = active.get(hotkey)?.warrantedAt
      const status = {
        ...{ uid, hotkey, stake: neuron.stake, current_load: load(hotkey) },
        is_serving: answeredAt !== undefined && nowMs - answeredAt < silentMs,
      }
      return kinds.flatMap((kind) => {
        const standing = standingOf(ledger.current, neuron.hotkey, kind)
        if (standing.scored === 0) return []
        const performance_score = unit(decayed(standing, blockMs))
        return [{ hotkey, kind, status: { ...status, performance_score } }]
      })
    })
    const { netuid, self } = network
    return { version: 1, netuid, validator: self, atMs: nowMs, reports: measured }
  }

  async #hear(target: MinerTarget, signal: AbortSignal): Promise<void> {
    const { ask, network, reports, clock, metrics, log } = this.#modules
    const signed = await ask(target, signal)
    if (signed === undefined || signed.document === '') {
      metrics.reports.inc({ result: 'silent' })
      return
    }
    const nowMs = clock.now()
    const read = readReport(signed, {
      ...{ netuid: network.netuid, validator: target.hotkey, nowMs },
      maxAgeMs: WINDOW_MS,
    })
    if ('refused' in read) {
      metrics.reports.inc({ result: 'refused' })
      const reason = read.refused
      log.warn({ event: 'report.refused', uid: target.uid, reason }, "refused a validator's report")
      return
    }
    const stored = await reports.put(read.document, nowMs)
    metrics.reports.inc({ result: stored ? 'stored' : 'repeated' })
  }

  #tellConflicts(agreed: ReturnType<typeof agreements>): void {
    const { log, network, metrics } = this.#modules
    const now = new Set<string>()
    for (const { hotkey, kind, conflicts, validators } of agreed) {
      if (conflicts.length === 0) continue
      const key = `${hotkey} ${kind}`
      now.add(key)
      if (this.#conflicts.has(key)) continue
      log.warn(
        {
          event: 'consensus.conflicted',
          uid: network.neuron(hotkey)?.uid,
          kind,
          fields: conflicts,
          validators: validators.length,
        },
        'validators contradict each other about a miner',
      )
    }
    this.#conflicts = now
    metrics.conflicts.set(now.size)
  }
}
