import { mean, sum } from './numbers.js'

/** Verdict on one frame pair's tone; the numbers are measured in gates/tone.ts. */
export interface ToneFrame {
  /** False where the frames hold too little signal, or do not correspond at all. */
  readonly reliable: boolean
  readonly detected: boolean
  readonly slope?: number | undefined
  readonly offset?: number | undefined
  readonly nonlinearDelta?: number | undefined
  readonly toneCurveDelta?: number | undefined
  readonly localAlertTiles?: number | undefined
  readonly saturationRatio?: number | undefined
  readonly hueShiftDegrees?: number | undefined
  readonly chromaMeanShift?: number | undefined
}

export interface ToneVerdict {
  readonly detected: boolean
  readonly strong: number
  readonly alerts: number
  readonly verificationFailed: boolean
}

/** Limits of one frame; twice these (three times for the curves) are a strong alert. */
export const TONE = {
  slope: 0.012,
  offset: 2,
  nonlinearDelta: 1,
  toneCurveDelta: 2,
  localAlertTiles: 2,
  saturation: 0.08,
  hueDegrees: 2,
  chromaMeanShift: 2,
} as const

function isStrong(frame: ToneFrame): boolean {
  return (
    Math.abs((frame.slope ?? 1) - 1) >= 2 * TONE.slope ||
    Math.abs(frame.offset ?? 0) >= 2 * TONE.offset ||
    (frame.nonlinearDelta ?? 0) >= 3 * TONE.nonlinearDelta ||
    (frame.toneCurveDelta ?? 0) >= 3 * TONE.toneCurveDelta ||
    (frame.localAlertTiles ?? 0) >= 2 * TONE.localAlertTiles ||
    Math.abs((frame.saturationRatio ?? 1) - 1) >= 2 * TONE.saturation ||
    Math.abs(frame.hueShiftDegrees ?? 0) >= 2 * TONE.hueDegrees ||
    (frame.chromaMeanShift ?? 0) >= 2 * TONE.chromaMeanShift
  )
}

/**
 * Tone was changed when two sampled frames say so, or one says so strongly, or more than half
 * could not be compared. One weak alert alone is an encoder's accident.
 */
export function toneAggregate(frames: readonly ToneFrame[]): ToneVerdict {
  const reliable = frames.filter((frame) => frame.reliable)
  const alerts = reliable.filter((frame) => frame.detected)
  const strong = alerts.filter(isStrong).length
  const verificationFailed = frames.length - reliable.length > Math.floor(frames.length / 2)
  return {
    detected: alerts.length >= 2 || strong >= 1 || verificationFailed,
    strong,
    alerts: alerts.length,
    verificationFailed,
  }
}

/** Mean luma and mean saturation of a frame, as ffmpeg's signalstats YAVG and SATAVG. */
export interface FrameColour {
  readonly y: number
  readonly s: number
}

export interface GrayVerdict {
  readonly ok: boolean
  readonly checked: number
  /** Share of checked frames that lost their colour. */
  readonly ratio: number
}

/** Fails when more than half of the coloured, lit reference frames come back colourless. */
export function grayGate(
  reference: readonly FrameColour[],
  result: readonly FrameColour[],
): GrayVerdict {
  let checked = 0
  let gray = 0
  for (const [index, ref] of reference.entries()) {
    const out = result[index]
    if (out === undefined || ref.y < 20 || ref.s < 6) continue
    checked += 1
    if (out.s < 4) gray += 1
  }
  const ratio = checked === 0 ? 0 : gray / checked
  return { ok: ratio <= 0.5, checked, ratio }
}

export interface ChromaVerdict {
  readonly ok: boolean
  /** Mean of (out/ref)²; `undefined` where the reference has no colour to lose. */
  readonly ratio: number | undefined
}

/** Chroma energy kept, from mean saturations: must be at least 0.7. */
export function chromaGate(
  referenceSaturation: readonly number[],
  resultSaturation: readonly number[],
): ChromaVerdict {
  const ratios: number[] = []
  for (const [index, ref] of referenceSaturation.entries()) {
    const out = resultSaturation[index]
    if (out !== undefined && ref >= 1) ratios.push((out / ref) ** 2)
  }
  if (ratios.length === 0) return { ok: true, ratio: undefined }
  const ratio = mean(ratios)
  return { ok: ratio >= 0.7, ratio }
}

/** The most bytes an upscaled result may have, as a multiple of its input's. */
export const UPSCALE_SIZE_LIMIT = { 2: 8, 4: 20 } as const

export function upscaleSizeGate(input: {
  readonly scale: 2 | 4
  readonly refBytes: number
  readonly outBytes: number
}): boolean {
  return input.outBytes <= input.refBytes * UPSCALE_SIZE_LIMIT[input.scale]
}

/** VBR is a ceiling with 10 % tolerance; CRF promises no rate. */
export function bitrateGate(input: {
  readonly mode: 'CRF' | 'VBR' | 'CBR'
  readonly targetMbps: number
  readonly gotMbps: number
}): boolean {
  return input.mode === 'CRF' || input.gotMbps <= input.targetMbps * 1.1 + 1e-12
}

export interface CompressionClaim {
  readonly uid: number
  readonly input: string
  readonly vmaf: number
  readonly base: number | undefined
  readonly threshold: number
  readonly rate: number
  readonly score: number
}

const near = (a: number, b: number, tolerance: number): boolean => Math.abs(a - b) <= tolerance

/**
 * Vidaio's duplicate rule: the same input and threshold, both VMAF within 0.2 and rate within 0.01
 * of an earlier miner's. Two honest encoders with equal settings match too, so Subreel compares
 * content instead (gates/copies.ts) and offers this rule by name only. docs/adr/0036.
 *
 * @returns index of each duplicate → uid of the owner
 */
export function dedupeCompression(rows: readonly CompressionClaim[]): ReadonlyMap<number, number> {
  const claims: CompressionClaim[] = []
  const owners = new Map<number, number>()
  for (const [index, row] of rows.entries()) {
    if (row.input === '' || row.score <= 0) continue
    const first = claims.find(
      (claim) =>
        claim.input === row.input &&
        claim.threshold.toFixed(2) === row.threshold.toFixed(2) &&
        near(claim.vmaf, row.vmaf, 0.2) &&
        (claim.base === undefined || row.base === undefined
          ? claim.base === row.base
          : near(claim.base, row.base, 0.2)) &&
        near(claim.rate, row.rate, 0.01),
    )
    if (first === undefined) claims.push(row)
    else if (first.uid !== row.uid) owners.set(index, first.uid)
  }
  return owners
}

/**
 * How many requests a validator may send a miner per window: 64 shared by stake among validators
 * above the minimum.
 */
export function validatorRateLimit(
  stakes: readonly number[],
  uid: number,
  options: { readonly minStake?: number; readonly totalRequests?: number } = {},
): number {
  const { minStake = 25_000, totalRequests = 64 } = options
  const own = stakes[uid]
  if (own === undefined || own <= minStake) return 0
  return Math.floor(totalRequests * (own / sum(stakes.filter((stake) => stake > minStake))))
}

/** The reference's counter lets one request more through than its limit says. */
export const validatorRateLimitAdmittedByReference = (limit: number): number => limit + 1
