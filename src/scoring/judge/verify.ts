import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256OfFile } from '../../lib/hash.js'
import { ScoringError } from '../errors.js'
import type { MetricSeries, ScoreRecord } from '../types.js'
import type { Judge } from './judge.js'
import { type AnyRecord, type Disagreement, type JudgedRecord, recheck } from './record.js'

/** How far a repeated measurement may lie from the recorded one: CPU and GPU agree to 0.01 VMAF. */
export const VERIFY = { metric: 0.01, score: 0.002 } as const

export interface RecordFiles {
  readonly reference: string | undefined
  readonly result: string | undefined
  /** Upscaling: what the miner was given. */
  readonly input?: string | undefined
}

export interface Verification {
  /** True where nothing disagrees. */
  readonly ok: boolean
  /** Whether both files were at hand and were judged again, or only the arithmetic was done again. */
  readonly measured: boolean
  readonly disagreements: readonly Disagreement[]
}

/**
 * Finds the files of a record in a folder by size and sha256; names do not matter.
 */
export async function findFiles(record: AnyRecord, folder: string): Promise<RecordFiles> {
  const find = async (wanted: { readonly sha256: string; readonly sizeBytes: number }) => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(folder, entry.name)
      if ((await stat(path)).size !== wanted.sizeBytes) continue
      if ((await sha256OfFile(path)) === wanted.sha256) return path
    }
    return undefined
  }
  return {
    reference: await find(record.inputs.reference),
    result: await find(record.inputs.result),
  }
}

/**
 * Checks a record: its arithmetic always, and with both files (but for generation) also every gate,
 * every metric and the models. `judge` is only called for when there is something to measure.
 *
 * @throws ScoringError where a given file is not the recorded one
 */
export async function verifyRecord(
  record: AnyRecord,
  files: RecordFiles,
  judge: () => Promise<Judge>,
  signal?: AbortSignal,
): Promise<Verification> {
  const arithmetic = recheck(record)
  const { reference, result } = files
  // A generated result was compared with a rerun, which only a ComfyUI could make again.
  if (record.task === 'generation' || reference === undefined || result === undefined) {
    return { ok: arithmetic.length === 0, measured: false, disagreements: arithmetic }
  }
  await requireSame('reference', reference, record.inputs.reference.sha256)
  await requireSame('result', result, record.inputs.result.sha256)
  const again = await judgeAgain(record, { ...files, reference, result }, await judge(), signal)
  const disagreements = [...arithmetic, ...compareRecords(record, again)]
  return { ok: disagreements.length === 0, measured: true, disagreements }
}

async function requireSame(what: string, path: string, sha256: string): Promise<void> {
  if ((await sha256OfFile(path)) === sha256) return
  const detail = `${path} is not the ${what} of this record: its sha256 differs`
  throw new ScoringError({ code: 'SCORING_RECORD_INVALID', detail }, detail)
}

async function judgeAgain(
  record: JudgedRecord,
  files: {
    readonly reference: string
    readonly result: string
    readonly input?: string | undefined
  },
  judge: Judge,
  signal: AbortSignal | undefined,
): Promise<ScoreRecord> {
  const results = [{ id: 'result', path: files.result }]
  const { reference } = files
  if (record.task === 'compression') {
    const { threshold, codecs, mode, targetMbps, formula, every } = record.inputs.parameters
    const [codec] = codecs
    const judged = await judge.scoreCompression(
      {
        reference,
        results,
        threshold,
        mode,
        formula,
        every,
        ...(codecs.length === 1 && codec !== undefined ? { codec } : {}),
        ...(targetMbps === undefined ? {} : { targetMbps }),
      },
      signal,
    )
    return only(judged)
  }
  const { scale, codecs, every, inputGiven } = record.inputs.parameters
  if (inputGiven && files.input === undefined) {
    const detail = 'this upscaling was judged with the miner’s input: give it with --input'
    throw new ScoringError({ code: 'SCORING_RECORD_INVALID', detail }, detail)
  }
  const input = inputGiven && files.input !== undefined ? { input: files.input } : {}
  const task = { reference, results, scale, codecs, every, ...input }
  return only(await judge.scoreUpscaling(task, signal))
}

function only(judged: readonly { readonly record: ScoreRecord }[]): ScoreRecord {
  const [first] = judged
  if (first === undefined) {
    throw new ScoringError(
      { code: 'SCORING_METRIC_FAILED', result: 'result' },
      'the judge gave no answer',
    )
  }
  return first.record
}

/** What a fresh judgement says differently. */
export function compareRecords(
  recorded: JudgedRecord,
  again: ScoreRecord,
): readonly Disagreement[] {
  const found: Disagreement[] = []
  const differ = (what: string, a: unknown, b: unknown): void => {
    found.push({ what, recorded: String(a), recomputed: String(b) })
  }
  if (Math.abs(recorded.score - again.score) > VERIFY.score) {
    differ('measured score', recorded.score, again.score)
  }
  const gatesOf = (record: { gates: readonly { code: string; passed: boolean }[] }): string =>
    record.gates.map((gate) => `${gate.code}=${gate.passed ? 'ok' : 'fail'}`).join(' ')
  if (gatesOf(recorded) !== gatesOf(again)) differ('gates', gatesOf(recorded), gatesOf(again))
  const series: readonly (readonly [string, MetricSeries | undefined, MetricSeries | undefined])[] =
    [
      ['VMAF', recorded.metrics.vmaf, again.metrics.vmaf],
      ['VMAF NEG', recorded.metrics.vmafNeg, again.metrics.vmafNeg],
    ]
  for (const [name, before, after] of series) {
    if (before?.harmonicMean === after?.harmonicMean) continue
    const gap = Math.abs((before?.harmonicMean ?? Number.NaN) - (after?.harmonicMean ?? Number.NaN))
    if (!(gap <= VERIFY.metric)) differ(name, before?.harmonicMean, after?.harmonicMean)
  }
  const modelsOf = (record: { models: readonly { name: string; sha256: string }[] }): string =>
    record.models.map((model) => `${model.name} ${model.sha256}`).join(', ')
  if (modelsOf(recorded) !== modelsOf(again)) differ('models', modelsOf(recorded), modelsOf(again))
  return found
}
