import { consensusOf, type MinerConsensus } from '../../scoring/formulas/consensus.js'
import type { StoredReport } from '../state/reports.js'

/** What validators agree on of one miner in one kind of work. */
export interface Agreement extends MinerConsensus {
  readonly hotkey: string
  readonly kind: string
}

/** Reports this old say nothing of now. */
export const WINDOW_MS = 300_000
/** From this confidence on an agreement counts. */
const SURE = 0.7

/** Groups reports by miner and kind, and what at least two validators said of each. */
export function agreements(reports: readonly StoredReport[], nowMs: number): Agreement[] {
  const groups = new Map<string, StoredReport[]>()
  for (const report of reports) {
    const key = `${report.hotkey} ${report.kind}`
    groups.set(key, [...(groups.get(key) ?? []), report])
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    const outcome = consensusOf(group, { nowMs, windowMs: WINDOW_MS })
    if (first === undefined || outcome.kind !== 'consensus') return []
    return [{ hotkey: first.hotkey, kind: first.kind, ...outcome.consensus }]
  })
}

/** The agreements of now, as the routing of users' tasks asks for them. Weights never do. */
export class ConsensusView {
  #performance: ReadonlyMap<string, number> = new Map()

  update(all: readonly Agreement[]): void {
    const sure = all.filter(
      ({ conflicts, confidence }) => conflicts.length === 0 && confidence >= SURE,
    )
    this.#performance = new Map(
      sure.flatMap(({ hotkey, kind, status }) => {
        const score = status['performance_score']
        return typeof score === 'number' ? [[`${hotkey} ${kind}`, score] as const] : []
      }),
    )
  }

  /** 0–1; undefined where validators do not agree, or too few have said anything. */
  performance(hotkey: string, kind: string): number | undefined {
    return this.#performance.get(`${hotkey} ${kind}`)
  }
}
