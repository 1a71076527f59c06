import type { Hotkey } from '../protocol/units.js'
import {
  accumulate,
  COMPRESSION_RULES,
  type HistoryRow,
  type MultiplierRules,
  type Multipliers,
  multipliers,
  UPSCALING_RULES,
} from './formulas/history.js'
import { mean, unit } from './formulas/numbers.js'
import type { TaskKind } from './types.js'

/** One scored task of one miner. */
export interface LedgerRow {
  readonly taskId: string
  readonly atMs: number
  /** In [0, 1]. */
  readonly score: number
  /** In [0, 1], where the task kind has one. */
  readonly quality?: number
  /** Compression only: bytes out / bytes in. */
  readonly rate?: number
  readonly origin: 'synthetic' | 'organic'
}

/** What the ledger knows of one miner in one kind of task. */
export interface Standing {
  /** Running score, ≥ 0: each task moves it a quarter of the way. */
  readonly accumulated: number
  /** Newest first, at most `keepRows`. */
  readonly rows: readonly LedgerRow[]
  readonly scored: number
  /** Of these, how many were 0. */
  readonly zeros: number
  /** Tasks lost by our own fault: they change nothing else. */
  readonly voided: number
  readonly lastAtMs: number
}

/**
 * All scores of all miners: a plain value, safe to write as JSON. It is keyed by hotkey, so a new
 * owner of a uid inherits nothing. Functions here return a new ledger and touch no clock or disk.
 */
export interface Ledger {
  readonly version: 1
  readonly miners: Readonly<Record<string, Readonly<Partial<Record<TaskKind, Standing>>>>>
}

export interface LedgerEntry {
  readonly hotkey: Hotkey
  readonly task: TaskKind
  readonly taskId: string
  readonly atMs: number
  readonly origin: 'synthetic' | 'organic'
  readonly outcome:
    | {
        readonly kind: 'scored'
        readonly score: number
        readonly quality?: number
        readonly rate?: number
      }
    /** The validator's fault (its disk, its models, its network): never lowers a miner. */
    | { readonly kind: 'void' }
}

export interface LedgerRules {
  readonly keepRows: number
  /** Bonus and penalty rules by kind; a kind without rules has a multiplier of 1. */
  readonly multipliers: Readonly<Partial<Record<TaskKind, MultiplierRules>>>
  /** Idle time after which a running score counts half. */
  readonly halfLifeMs: number
}

export const LEDGER_RULES: LedgerRules = {
  keepRows: 100,
  multipliers: { compression: COMPRESSION_RULES, upscaling: UPSCALING_RULES },
  halfLifeMs: 3 * 24 * 3_600_000,
}

export const EMPTY_LEDGER: Ledger = { version: 1, miners: {} }

const NO_STANDING: Standing = {
  accumulated: 0,
  rows: [],
  scored: 0,
  zeros: 0,
  voided: 0,
  lastAtMs: 0,
}

const NO_RULES: MultiplierRules = {
  bonusAbove: Number.POSITIVE_INFINITY,
  penaltyScoreBelow: Number.NEGATIVE_INFINITY,
  penaltyQualityBelow: undefined,
}

/** What is known of a miner in one kind of task; an empty standing when nothing is. */
export function standingOf(ledger: Ledger, hotkey: Hotkey, task: TaskKind): Standing {
  // Keys come from the network: look only at own properties.
  return (
    (Object.hasOwn(ledger.miners, hotkey) ? ledger.miners[hotkey]?.[task] : undefined) ??
    NO_STANDING
  )
}

/** Bonus and penalties earned by the last ten rows. */
export function multipliersOf(
  standing: Standing,
  task: TaskKind,
  rules: LedgerRules = LEDGER_RULES,
): Multipliers {
  return multipliers(
    standing.rows satisfies readonly HistoryRow[],
    rules.multipliers[task] ?? NO_RULES,
  )
}

/**
 * Adds one task. The same task id of the same miner counts once: a second call returns the ledger
 * unchanged, so work repeated after a crash is never paid twice. A NaN score counts as 0.
 */
export function record(
  ledger: Ledger,
  entry: LedgerEntry,
  rules: LedgerRules = LEDGER_RULES,
): Ledger {
  const before = standingOf(ledger, entry.hotkey, entry.task)
  if (before.rows.some((row) => row.taskId === entry.taskId)) return ledger
  return put(ledger, entry, afterOutcome(before, entry, rules))
}

function afterOutcome(before: Standing, entry: LedgerEntry, rules: LedgerRules): Standing {
  const { outcome } = entry
  if (outcome.kind === 'void') return { ...before, voided: before.voided + 1 }
  const row: LedgerRow = {
    taskId: entry.taskId,
    atMs: entry.atMs,
    score: unit(outcome.score),
    ...(outcome.quality === undefined ? {} : { quality: unit(outcome.quality) }),
    ...(outcome.rate === undefined ? {} : { rate: outcome.rate }),
    origin: entry.origin,
  }
  const counted: Standing = {
    ...before,
    rows: [row, ...before.rows].slice(0, rules.keepRows),
    scored: before.scored + 1,
    zeros: before.zeros + (row.score > 0 ? 0 : 1),
    lastAtMs: Math.max(before.lastAtMs, entry.atMs),
  }
  const accumulated = accumulate(before.accumulated, {
    score: row.score,
    multiplier: multipliersOf(counted, entry.task, rules).total,
    ...(row.rate === undefined ? {} : { rate: row.rate }),
  })
  return { ...counted, accumulated }
}

function put(ledger: Ledger, entry: LedgerEntry, standing: Standing): Ledger {
  const own = Object.hasOwn(ledger.miners, entry.hotkey) ? ledger.miners[entry.hotkey] : undefined
  return {
    version: 1,
    miners: { ...ledger.miners, [entry.hotkey]: { ...own, [entry.task]: standing } },
  }
}

/** Running score as of now: it halves for every half-life the miner was not scored. */
export function decayed(
  standing: Standing,
  nowMs: number,
  rules: LedgerRules = LEDGER_RULES,
): number {
  const idleMs = Math.max(0, nowMs - standing.lastAtMs)
  return standing.accumulated * 0.5 ** (idleMs / rules.halfLifeMs)
}

export interface MinerAverages {
  readonly accumulated: number
  readonly score: number
  readonly quality: number | undefined
  readonly tasks: number
  /** Share of kept tasks that scored above 0; 0 for none. */
  readonly successRatio: number
  readonly multipliers: Multipliers
}

/** The figures an operator is shown, and reports carry. */
export function averages(
  ledger: Ledger,
  hotkey: Hotkey,
  task: TaskKind,
  nowMs: number,
  rules: LedgerRules = LEDGER_RULES,
): MinerAverages {
  const standing = standingOf(ledger, hotkey, task)
  const { rows } = standing
  const qualities = rows.flatMap((row) => row.quality ?? [])
  return {
    accumulated: decayed(standing, nowMs, rules),
    score: mean(rows.map((row) => row.score)),
    quality: qualities.length === 0 ? undefined : mean(qualities),
    tasks: rows.length,
    successRatio: rows.length === 0 ? 0 : rows.filter((row) => row.score > 0).length / rows.length,
    multipliers: multipliersOf(standing, task, rules),
  }
}

/** Drops everyone who is not registered any more. */
export function keepOnly(ledger: Ledger, hotkeys: readonly Hotkey[]): Ledger {
  const kept = new Set<string>(hotkeys)
  const miners = Object.entries(ledger.miners).filter(([hotkey]) => kept.has(hotkey))
  return { version: 1, miners: Object.fromEntries(miners) }
}
