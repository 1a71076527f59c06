import { clamp, mean, sum } from './numbers.js'

/** How sure a report is, 0.1–1: complete and detailed and recent reports are surer (Violet). */
export function reportConfidence(
  fields: readonly string[],
  ageSeconds: number | undefined,
): number {
  const has = (field: string): boolean => fields.includes(field)
  const missing = ['uid', 'hotkey', 'stake', 'is_serving'].filter((field) => !has(field)).length
  const detailed = ['performance_score', 'current_load', 'task_type_specialization'].filter(has)
  let recency = 0
  if (ageSeconds !== undefined) recency = ageSeconds < 300 ? 0.1 : ageSeconds < 900 ? 0.05 : 0
  return clamp(1 - missing * 0.1 + detailed.length * 0.05 + recency, 0.1, 1)
}

/** Mean by weight; the plain mean where all weights are 0. */
export function weightedAverage(values: readonly number[], weights: readonly number[]): number {
  const total = sum(weights)
  if (total === 0) return mean(values)
  return sum(values.map((value, index) => value * (weights[index] ?? 0))) / total
}

/** The value holding 60 % of all confidence; without one, the first and a conflict. */
export function majorityVote<T extends string | number | boolean>(
  values: readonly T[],
  weights: readonly number[],
): { readonly value: T | undefined; readonly conflict: boolean } {
  const counts = new Map<T, number>()
  for (const [index, value] of values.entries()) {
    counts.set(value, (counts.get(value) ?? 0) + (weights[index] ?? 0))
  }
  const needed = sum(weights) * 0.6
  for (const [value, count] of counts) if (count >= needed) return { value, conflict: false }
  return { value: values[0], conflict: values.length > 0 }
}

/** Mean confidence plus 0.1 for each distinct validator, at most 0.2 more and 1 in all. */
export function overallConfidence(
  confidences: readonly number[],
  validators: readonly (number | string)[],
): number {
  if (confidences.length === 0) return 0
  return Math.min(1, mean(confidences) + Math.min(0.2, new Set(validators).size * 0.1))
}

export type ReportValue = string | number | boolean

/** One validator's measurement of one miner. Values are measured, never a miner's own claim. */
export interface MinerReport {
  readonly validator: string
  readonly atMs: number
  readonly confidence: number
  readonly status: Readonly<Record<string, ReportValue>>
}

export interface MinerConsensus {
  readonly status: Readonly<Record<string, ReportValue>>
  readonly confidence: number
  readonly validators: readonly string[]
  readonly conflicts: readonly string[]
}

export type ConsensusOutcome =
  | { readonly kind: 'consensus'; readonly consensus: MinerConsensus }
  | { readonly kind: 'too-few-validators'; readonly have: number; readonly need: number }

const NUMERIC = ['stake', 'performance_score', 'current_load']
const VOTED = ['is_serving', 'hotkey']

/**
 * What several validators say of one miner within a window of five minutes. Distinct validators
 * count, each by its newest report, and a field without a rule takes its own newest sure value.
 *
 * `reference` is Violet's code (392f665): two reports of one validator pass, every stored
 * confidence is 0, and "newest" gives the first field of the report. docs/adr/0037.
 */
export function consensusOf(
  reports: readonly MinerReport[],
  options: {
    readonly nowMs: number
    readonly windowMs?: number
    readonly minValidators?: number
    readonly rules?: 'correct' | 'reference'
  },
): ConsensusOutcome {
  const { nowMs, windowMs = 300_000, minValidators = 2, rules = 'correct' } = options
  const recent = reports.filter((report) => nowMs - report.atMs <= windowMs)
  const used = rules === 'reference' ? recent : newestPerValidator(recent)
  const have = used.length
  if (have < minValidators) return { kind: 'too-few-validators', have, need: minValidators }
  const status: Record<string, ReportValue> = {}
  const conflicts: string[] = []
  for (const field of new Set(used.flatMap((report) => Object.keys(report.status)))) {
    const holders = used.filter((report) => report.status[field] !== undefined)
    const weights = holders.map((report) => (rules === 'reference' ? 0 : report.confidence))
    const values = holders.flatMap((report) => report.status[field] ?? [])
    const value = agree(field, values, weights, holders, rules)
    if (value.conflict) conflicts.push(field)
    if (value.value !== undefined) status[field] = value.value
  }
  const validators = [...new Set(used.map((report) => report.validator))]
  const confidence = overallConfidence(
    used.map((report) => (rules === 'reference' ? 0 : report.confidence)),
    validators,
  )
  return { kind: 'consensus', consensus: { status, confidence, validators, conflicts } }
}

function newestPerValidator(reports: readonly MinerReport[]): readonly MinerReport[] {
  const newest = new Map<string, MinerReport>()
  for (const report of reports) {
    const known = newest.get(report.validator)
    if (known === undefined || report.atMs >= known.atMs) newest.set(report.validator, report)
  }
  return [...newest.values()]
}

function agree(
  field: string,
  values: readonly ReportValue[],
  weights: readonly number[],
  holders: readonly MinerReport[],
  rules: 'correct' | 'reference',
): { readonly value: ReportValue | undefined; readonly conflict: boolean } {
  if (NUMERIC.includes(field)) {
    const numbers = values.filter((value) => typeof value === 'number')
    return { value: weightedAverage(numbers, weights), conflict: false }
  }
  if (VOTED.includes(field)) return majorityVote(values, weights)
  const sure = Math.max(...weights) * 0.8
  const newest = holders
    .filter((_, index) => (weights[index] ?? 0) >= sure)
    .reduce<MinerReport | undefined>(
      (best, report) => (best === undefined || report.atMs > best.atMs ? report : best),
      undefined,
    )
  if (newest === undefined) return { value: values[0], conflict: false }
  const key = rules === 'reference' ? Object.keys(newest.status)[0] : field
  return { value: key === undefined ? undefined : newest.status[key], conflict: false }
}
