import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { ScoringError } from '../errors.js'
import { COMPRESSION_FORMULAS, type CompressionFormula } from '../formulas/compression.js'
import type { CodecFamily } from '../gates/file.js'
import { judgeGeneration } from '../generation/verdict.js'
import { poolSeries } from '../metrics/index.js'
import type { MetricSeries, ScoreRecord, VmafResult } from '../types.js'
import { judgeCompression, judgeUpscaling, type Verdict } from './verdict.js'

export interface CompressionParameters {
  readonly threshold: number
  readonly codecs: readonly CodecFamily[]
  readonly mode: 'CRF' | 'VBR' | 'CBR'
  readonly targetMbps: number | undefined
  readonly formula: CompressionFormula
  readonly every: number
}

export interface UpscalingParameters {
  readonly scale: 2 | 4
  readonly codecs: readonly CodecFamily[]
  readonly contentLengthSeconds: number
  readonly inputBytes: number
  /** Whether the input came with the task; else it was made from the reference. */
  readonly inputGiven: boolean
  readonly every: number
}

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')))

/** Which program and version made a record. */
export const TOOL = { name: 'subreel', version } as const

/** Puts together everything that led to a verdict. */
export function buildRecord(of: {
  readonly task: 'compression' | 'upscaling'
  readonly verdict: Verdict
  readonly reference: { readonly sha256: string; readonly sizeBytes: number }
  readonly result: { readonly sha256: string; readonly sizeBytes: number }
  readonly parameters: CompressionParameters | UpscalingParameters
  readonly metrics: VmafResult | undefined
  readonly extra: Readonly<Record<string, unknown>>
  readonly models: ScoreRecord['models']
}): ScoreRecord {
  const { verdict, metrics } = of
  return {
    version: 1,
    task: of.task,
    score: verdict.score,
    reason: verdict.reason,
    inputs: {
      reference: of.reference,
      result: of.result,
      parameters: { ...of.parameters },
    },
    gates: verdict.gates,
    metrics: {
      ...(metrics === undefined ? {} : { vmaf: metrics.vmaf, vmafNeg: metrics.vmafNeg }),
      ...of.extra,
    },
    models: of.models,
    formula: verdict.formula,
    device: metrics?.device,
    tool: TOOL,
  }
}

const SERIES = z.object({
  mean: z.number(),
  harmonicMean: z.number(),
  min: z.number(),
  max: z.number(),
  percentiles: z.object({ p1: z.number(), p5: z.number(), p10: z.number(), p50: z.number() }),
  frames: z.array(z.number()).max(1_000_000),
})
const HASHED = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), sizeBytes: z.number() })
const CODECS = z.array(z.enum(['av1', 'hevc', 'h264', 'vp9'])).min(1)
const FORMULA_NAMES = Object.keys(COMPRESSION_FORMULAS) as [
  CompressionFormula,
  ...CompressionFormula[],
]
const QUALITY_SCHEMA = z.discriminatedUnion('metric', [
  z.object({
    metric: z.literal('vmaf-neg-gain'),
    baseline: z.number(),
    detail: z.number(),
    baselineDetail: z.number(),
  }),
  z.object({ metric: z.literal('pieapp'), pieapp: z.number() }),
])
const SHARE = z.object({
  strength: z.number(),
  kept: z.number(),
  expected: z.number(),
  coarser: z.number(),
})
const COMPARED = z.object({
  name: z.string(),
  kind: z.enum(['video', 'image', 'audio', 'other']),
  videoCosine: z.number().exactOptional(),
  audioCosine: z.number().exactOptional(),
})
const COMMON = {
  version: z.literal(1),
  score: z.number(),
  reason: z.string(),
  gates: z.array(z.object({ code: z.string(), passed: z.boolean(), detail: z.string() })).max(100),
  models: z.array(z.object({ name: z.string(), sha256: z.string() })).max(20),
  formula: z.object({ name: z.string(), constants: z.record(z.string(), z.number()) }),
  device: z.string().optional(),
  tool: z.object({ name: z.literal('subreel'), version: z.string() }),
}
const RECORD = z.discriminatedUnion('task', [
  z.object({
    ...COMMON,
    task: z.literal('compression'),
    inputs: z.object({
      reference: HASHED,
      result: HASHED,
      parameters: z.object({
        threshold: z.number().min(0).max(100),
        codecs: CODECS,
        mode: z.enum(['CRF', 'VBR', 'CBR']),
        targetMbps: z.number().optional(),
        formula: z.enum(FORMULA_NAMES),
        every: z.number().int().min(1),
      }),
    }),
    metrics: z.object({
      vmaf: SERIES.optional(),
      vmafNeg: SERIES.optional(),
      kept: z.object({ fine: SHARE, colour: SHARE }).optional(),
      rate: z.number(),
    }),
  }),
  z.object({
    ...COMMON,
    task: z.literal('upscaling'),
    inputs: z.object({
      reference: HASHED,
      result: HASHED,
      parameters: z.object({
        scale: z.union([z.literal(2), z.literal(4)]),
        codecs: CODECS,
        contentLengthSeconds: z.number().min(0),
        inputBytes: z.number().min(0),
        inputGiven: z.boolean(),
        every: z.number().int().min(1),
      }),
    }),
    metrics: z.object({
      vmaf: SERIES.optional(),
      vmafNeg: SERIES.optional(),
      quality: QUALITY_SCHEMA.optional(),
    }),
  }),
  z.object({
    ...COMMON,
    task: z.literal('generation'),
    inputs: z.object({
      reference: HASHED,
      result: HASHED,
      parameters: z.object({
        frames: z.number().min(1),
        seconds: z.number().optional(),
        threshold: z.object({ minCosine: z.number(), samples: z.number() }),
      }),
    }),
    metrics: z.object({
      files: z.array(COMPARED).max(100),
      quality: z.number(),
      speed: z.number(),
    }),
  }),
])

/** A record of any kind. */
export type AnyRecord = z.infer<typeof RECORD>
/** A record of a kind that can be judged again from its files. */
export type JudgedRecord = Exclude<AnyRecord, { task: 'generation' }>

/** @throws ScoringError SCORING_RECORD_INVALID */
export function parseRecord(text: string): AnyRecord {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw invalidRecord('it is not JSON', cause)
  }
  const parsed = RECORD.safeParse(json)
  if (!parsed.success) throw invalidRecord(z.prettifyError(parsed.error).slice(0, 500))
  return parsed.data
}

function invalidRecord(detail: string, cause?: unknown): ScoringError {
  return new ScoringError(
    { code: 'SCORING_RECORD_INVALID', detail },
    `not a score record: ${detail}`,
    { cause },
  )
}

export interface Disagreement {
  readonly what: string
  readonly recorded: string
  readonly recomputed: string
}

/**
 * Does the arithmetic of a record again from its own frames, gates and parameters: pooled values,
 * score and reason must follow from them. Needs no file and no model.
 */
export function recheck(record: AnyRecord): readonly Disagreement[] {
  const found: Disagreement[] = []
  const compare = (what: string, recorded: number, recomputed: number, tolerance: number): void => {
    if (Math.abs(recorded - recomputed) <= tolerance) return
    found.push({ what, recorded: String(recorded), recomputed: String(recomputed) })
  }
  const concluded = (verdict: Pick<Verdict, 'score' | 'reason'>) => {
    compare('score', record.score, verdict.score, 1e-9)
    if (record.reason === verdict.reason) return
    found.push({ what: 'reason', recorded: record.reason, recomputed: verdict.reason })
  }
  if (record.task === 'generation') {
    const { frames, seconds, threshold } = record.inputs.parameters
    const { minCosine } = threshold
    const { files, quality, speed } = record.metrics
    const verdict = judgeGeneration({ gates: record.gates, files, minCosine, seconds, frames })
    compare('quality', quality, verdict.quality, 1e-9)
    compare('speed', speed, verdict.speed, 1e-9)
    concluded(verdict)
    return found
  }
  const pooled = (name: string, series: MetricSeries | undefined): MetricSeries | undefined => {
    if (series === undefined) return undefined
    const again = poolSeries(name, series.frames)
    compare(`${name}.mean`, series.mean, again.mean, 1e-9)
    compare(`${name}.harmonicMean`, series.harmonicMean, again.harmonicMean, 1e-9)
    compare(`${name}.min`, series.min, again.min, 1e-9)
    return again
  }
  const vmaf = pooled('vmaf', record.metrics.vmaf)
  const vmafNeg = pooled('vmafNeg', record.metrics.vmafNeg)
  const verdict = verdictOf(record, vmaf, vmafNeg)
  if (record.task === 'compression') {
    const { reference, result } = record.inputs
    compare('rate', record.metrics.rate, result.sizeBytes / reference.sizeBytes, 1e-12)
  }
  concluded(verdict)
  return found
}

/** Gates that the verdict adds itself are left out of what it is given. */
const LATE_GATES = ['vmaf-gap', 'fine-detail', 'colour-detail', 'even-quality']

function verdictOf(
  record: JudgedRecord,
  vmaf: MetricSeries | undefined,
  vmafNeg: MetricSeries | undefined,
): Verdict {
  const gates = record.gates.filter((outcome) => !LATE_GATES.includes(outcome.code))
  if (record.task === 'compression') {
    const { threshold, formula } = record.inputs.parameters
    const { rate, kept } = record.metrics
    return judgeCompression({ gates, vmaf, vmafNeg, kept, rate, threshold, formula })
  }
  const { contentLengthSeconds } = record.inputs.parameters
  const { quality } = record.metrics
  return judgeUpscaling({ gates, vmaf, vmafNeg, contentLengthSeconds, quality })
}
