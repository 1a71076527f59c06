import {
  COMPRESSION,
  COMPRESSION_FORMULAS,
  type CompressionFormula,
} from '../formulas/compression.js'
import { mean, unit } from '../formulas/numbers.js'
import { UPSCALING, upscaleQuality, upscaleScoreFromQuality } from '../formulas/upscaling.js'
import { failed, gate, passed } from '../gates/codes.js'
import type { GateOutcome, Kept, KeptShare, MetricSeries, ScoreRecord } from '../types.js'

/** Limits of the gates that need the metrics. */
export const QUALITY = {
  /** The most that VMAF may lie above VMAF NEG: honest encodes of noise reach 4.6. docs/adr/0063. */
  maxGap: 6,
  /** How far the worst stretch may lie below the threshold (honest fades lie 31 below), and how long it is. */
  worstBelow: 40,
  worstShare: 0.05,
  worstFrames: 3,
  /**
   * The least that may be kept of fine detail and of colour, as a share of what an encoder as coarse would
   * keep, where it also was coded coarser than the rest by more doublings of the step than encoders do on their
   * own. Neither alone tells a cheat: of noise an honest encode loses much by little rounding, and what
   * is clean loses little by much. docs/adr/0063.
   */
  minFineKept: 0.3,
  maxFineCoarser: 1.5,
  /** The same where the step is so much coarser that more must be left. */
  minFarFineKept: 0.5,
  maxFarFineCoarser: 3.6,
  minColourKept: 0.6,
  maxColourCoarser: 2,
  /** Below this expectation encoders lose so much that nothing can be said. */
  minExpected: 0.5,
  /** Contrast, in levels, below which a reference has no such detail but its own encoder's noise. */
  minStrength: 0.4,
} as const

/** A score and why: everything in a record that follows from its gates, metrics and parameters. */
export interface Verdict {
  readonly score: number
  readonly reason: string
  readonly gates: readonly GateOutcome[]
  readonly formula: ScoreRecord['formula']
}

const times = (value: number): string => value.toFixed(value < 10 ? 2 : 1)

function refusal(
  gates: readonly GateOutcome[],
  formula: ScoreRecord['formula'],
): Verdict | undefined {
  const broken = gates.find((outcome) => !outcome.passed)
  if (broken === undefined) return undefined
  return { score: 0, reason: `Scored 0 by gate ${broken.code}: ${broken.detail}.`, gates, formula }
}

/** Mean of the worst stretch of consecutive frames. */
export function worstStretch(frames: readonly number[]): number {
  const length = Math.min(
    frames.length,
    Math.max(QUALITY.worstFrames, Math.round(frames.length * QUALITY.worstShare)),
  )
  let worst = Number.POSITIVE_INFINITY
  for (let start = 0; start + length <= frames.length; start += 1) {
    worst = Math.min(worst, mean(frames.slice(start, start + length)))
  }
  return Number.isFinite(worst) ? worst : 0
}

export interface CompressionFacts {
  readonly gates: readonly GateOutcome[]
  /** Absent where a gate closed before the models ran. */
  readonly vmaf: MetricSeries | undefined
  readonly vmafNeg: MetricSeries | undefined
  /** Absent where it was not measured. */
  readonly kept?: Kept | undefined
  /** Bytes out / bytes in. */
  readonly rate: number
  readonly threshold: number
  readonly formula: CompressionFormula
}

/** Score of a compressed result. Pure: the same facts give the same verdict everywhere. */
export function judgeCompression(facts: CompressionFacts): Verdict {
  const formula = { name: facts.formula, constants: { ...COMPRESSION, ...QUALITY } }
  const early = refusal(facts.gates, formula)
  if (early !== undefined) return early
  const { vmaf, vmafNeg, threshold, rate } = facts
  if (vmaf === undefined || vmafNeg === undefined) {
    return refusedWithoutMetrics(facts.gates, formula)
  }
  // Far below the threshold the quality itself is the reason, and says nothing of a cheat.
  const tooLow = vmafNeg.harmonicMean < threshold - COMPRESSION.softMargin
  const gates = tooLow
    ? facts.gates
    : [...facts.gates, ...lateGates(vmaf, vmafNeg, facts.kept, threshold)]
  const late = refusal(gates, formula)
  if (late !== undefined) return late
  const result = COMPRESSION_FORMULAS[facts.formula]({
    vmaf: vmafNeg.harmonicMean,
    rate,
    threshold,
  })
  const quality = vmafNeg.harmonicMean.toFixed(2)
  const where = {
    no_compression: `the file is ${times(1 / rate)} times smaller, which is no compression`,
    below_cutoff: `VMAF NEG ${quality} is more than ${COMPRESSION.softMargin} below the threshold of ${threshold}`,
    soft: `VMAF NEG ${quality} is below the threshold of ${threshold}, and the file is ${times(1 / rate)} times smaller`,
    above: `VMAF NEG ${quality} meets the threshold of ${threshold}, and the file is ${times(1 / rate)} times smaller`,
  }[result.zone]
  return {
    score: result.score,
    reason: `Scored ${result.score.toFixed(4)}: ${where}.`,
    gates,
    formula,
  }
}

function lateGates(
  vmaf: MetricSeries,
  vmafNeg: MetricSeries,
  kept: Kept | undefined,
  threshold: number,
): readonly GateOutcome[] {
  const gap = vmaf.harmonicMean - vmafNeg.harmonicMean
  const worst = worstStretch(vmafNeg.frames)
  const floor = threshold - QUALITY.worstBelow
  return [
    gate(
      'vmaf-gap',
      gap <= QUALITY.maxGap,
      `VMAF ${vmaf.harmonicMean.toFixed(2)} lies ${gap.toFixed(2)} above VMAF NEG; at most ${QUALITY.maxGap} is allowed`,
    ),
    ...(kept === undefined
      ? []
      : [
          keptGate('fine-detail', 'fine detail', kept.fine, [
            { least: QUALITY.minFineKept, coarser: QUALITY.maxFineCoarser },
            { least: QUALITY.minFarFineKept, coarser: QUALITY.maxFarFineCoarser },
          ]),
          keptGate('colour-detail', 'the detail of colour', kept.colour, [
            { least: QUALITY.minColourKept, coarser: QUALITY.maxColourCoarser },
          ]),
        ]),
    gate(
      'even-quality',
      worst >= floor,
      `the worst stretch has VMAF NEG ${worst.toFixed(2)}; at least ${floor} is asked`,
    ),
  ]
}

function keptGate(
  code: 'fine-detail' | 'colour-detail',
  what: string,
  { strength, kept, expected, coarser }: KeptShare,
  limits: readonly { readonly least: number; readonly coarser: number }[],
): GateOutcome {
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
  if (strength < QUALITY.minStrength || expected < QUALITY.minExpected) {
    return passed(code, `too little of ${what} to judge by`)
  }
  const seen = `${percent(kept)} of ${what} is kept where an encoder as coarse keeps ${percent(expected)}, as if coded by a step ${times(2 ** coarser)} times as coarse`
  const broken = limits.find((of) => kept < of.least * expected && coarser > of.coarser)
  if (broken === undefined) return passed(code, seen)
  return failed(
    code,
    `${seen}; at least ${percent(broken.least * expected)} is asked, or a step at most ${times(2 ** broken.coarser)} times as coarse`,
  )
}

function refusedWithoutMetrics(
  gates: readonly GateOutcome[],
  formula: ScoreRecord['formula'],
): Verdict {
  const missing = failed('readable', 'no metric was measured')
  return {
    score: 0,
    reason: 'Scored 0: no metric was measured.',
    gates: [...gates, missing],
    formula,
  }
}

/** What judged the quality of an upscaled result. */
export type UpscaleQuality =
  | {
      /** How much of the way from bicubic to the reference was gone, by VMAF NEG. */
      readonly metric: 'vmaf-neg-gain'
      /** VMAF NEG of the judge's own bicubic upscale of the same input. */
      readonly baseline: number
      /** How far fine detail is the reference's, −1 to 1, in the result and in the bicubic upscale. */
      readonly detail: number
      readonly baselineDetail: number
    }
  | { readonly metric: 'pieapp'; readonly pieapp: number }

export interface UpscalingFacts {
  readonly gates: readonly GateOutcome[]
  readonly vmaf: MetricSeries | undefined
  readonly vmafNeg: MetricSeries | undefined
  readonly contentLengthSeconds: number
  readonly quality: UpscaleQuality | undefined
}

/**
 * Share of the way from bicubic (0) to the reference (1) that a result has gone. Plain bicubic is
 * what everybody has already: it is worth 0, and so is anything below it.
 */
export function gainOverBaseline(vmafNeg: number, baseline: number): number {
  return baseline >= 100 ? 0 : unit((vmafNeg - baseline) / (100 - baseline))
}

/**
 * 0 where a result's fine detail is no more like the reference's than a filter of bicubic's kind
 * makes it, 1 where it was clearly put back. Sharpening raises VMAF NEG, but not this.
 */
export function detailPutBack(detail: number, baseline: number): number {
  if (baseline <= 0) return detail > 0 ? 1 : 0
  const { filterDetail, trueDetail } = UPSCALING
  return unit((detail / baseline - filterDetail) / (trueDetail - filterDetail))
}

interface JudgedQuality {
  /** In [0, 1]. */
  readonly value: number
  /** Why it is what it is: for a value of 0, and for any other. */
  readonly nothing: string
  readonly how: string
}

function qualityOf(quality: UpscaleQuality, vmafNeg: MetricSeries): JudgedQuality {
  if (quality.metric === 'pieapp') {
    const pieapp = `PIE-APP ${quality.pieapp.toFixed(3)}`
    return {
      value: upscaleQuality(quality.pieapp),
      nothing: `${pieapp} is the worst there is`,
      how: pieapp,
    }
  }
  const { baseline, detail, baselineDetail } = quality
  const gain = gainOverBaseline(vmafNeg.harmonicMean, baseline)
  const better = `VMAF NEG ${vmafNeg.harmonicMean.toFixed(2)} against plain bicubic's ${baseline.toFixed(2)}`
  const alike = `${detail.toFixed(3)} against bicubic's ${baselineDetail.toFixed(3)}`
  return {
    value: gain * detailPutBack(detail, baselineDetail),
    nothing:
      gain <= 0
        ? `VMAF NEG ${vmafNeg.harmonicMean.toFixed(2)} is no better than plain bicubic's ${baseline.toFixed(2)}`
        : `fine detail is no more like the reference's than a filter makes it (${alike})`,
    how: `${better}, with fine detail alike by ${alike},`,
  }
}

/** Score of an upscaled result. Pure. */
export function judgeUpscaling(facts: UpscalingFacts): Verdict {
  const { gates, vmaf, vmafNeg, quality } = facts
  const name = quality?.metric === 'pieapp' ? 'vidaio-upscaling' : 'upscaling-gain'
  const formula = { name, constants: { ...UPSCALING } }
  const early = refusal(gates, formula)
  if (early !== undefined) return early
  if (vmaf === undefined || vmafNeg === undefined || quality === undefined) {
    return refusedWithoutMetrics(gates, formula)
  }
  if (vmaf.harmonicMean < UPSCALING.minVmaf) {
    const reason = `Scored 0: VMAF ${vmaf.harmonicMean.toFixed(2)} is below ${UPSCALING.minVmaf}.`
    return { score: 0, reason, gates, formula }
  }
  const { value, nothing, how } = qualityOf(quality, vmafNeg)
  if (value <= 0) return { score: 0, reason: `Scored 0: ${nothing}.`, gates, formula }
  const { score: earned } = upscaleScoreFromQuality({
    quality: value,
    vmaf: vmaf.harmonicMean,
    contentLengthSeconds: facts.contentLengthSeconds,
  })
  const share = quality.metric === 'pieapp' ? 1 : unit(value / UPSCALING.fullQuality)
  const score = unit(share * earned)
  return {
    score,
    reason: `Scored ${score.toFixed(4)}: ${how} is quality ${value.toFixed(3)}, over ${facts.contentLengthSeconds.toFixed(1)} s of video.`,
    gates,
    formula,
  }
}
