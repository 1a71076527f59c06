import { TONE, type ToneFrame } from '../formulas/evidence.js'
import { mean } from '../formulas/numbers.js'
import type { CellGrid } from './planes.js'

/** Cell means of one frame in full-range units: luma 0–255, chroma around 0. */
export interface ToneCells {
  readonly y: Float64Array
  readonly cb: Float64Array
  readonly cr: Float64Array
}

/** From stored limited-range values to full range. */
export function toneCells(y: Float64Array, u: Float64Array, v: Float64Array): ToneCells {
  return {
    y: y.map((value) => ((value - 16) * 255) / 219),
    cb: u.map((value) => ((value - 128) * 255) / 224),
    cr: v.map((value) => ((value - 128) * 255) / 224),
  }
}

/** A frame's tone, and how far beyond the limits its worst measure lies: 1 is at the limit. */
export interface MeasuredTone extends ToneFrame {
  readonly excess: number
}

/** Standard deviation of luma cells from which a line can be drawn through them. */
const MIN_SPREAD = 4

/** Levels by which a line may bend: coarse steps bend a smooth ramp by more than one. */
const BEND = 1.5
/** Levels by which a starved encode may move a colour as a whole: less than the limit on that itself. */
const ROUNDING = 1.5

/** Square of the correlation of colours from which one is a worn copy of the other. */
const MIN_COLOUR_LIKENESS = 0.1

const UNRELIABLE: MeasuredTone = { reliable: false, detected: false, excess: 0 }

/**
 * Compares the tone of one frame with its reference: a line through luma, what is left of it by
 * brightness and by place, and chroma as vectors. The limits are Vidaio's; means over cells replace
 * its pixels, so that blur does not look like a loss of contrast, and each limit rises with the
 * noise the encoder left behind, so that a coarse encode does not look like a change of tone.
 */
export function measureTone(reference: ToneCells, result: ToneCells, grid: CellGrid): MeasuredTone {
  if (spreadOf(reference.y) < MIN_SPREAD) return measureFlat(reference, result)
  const fit = fitLine(reference.y, result.y)
  if (fit === undefined) return UNRELIABLE
  const tone = provenTone(fit)
  const nonlinear = curveResidual(reference.y, result.y, (r) => fit.slope * r + fit.offset)
  const curve = curveResidual(reference.y, result.y, (r) => r)
  const localAlertTiles = tilesOff(reference.y, result.y, fit, grid)
  const chroma = compareChroma(reference, result)
  // Nor does a slope count that moves nothing in the picture by a level.
  const slopeLimit = Math.max(TONE.slope, (0.6 * fit.noise) / fit.spread, 0.4 / fit.spread)
  const offsetLimit = TONE.offset + (slopeLimit - TONE.slope) * fit.meanLuma
  const excess = Math.max(
    Math.abs(tone.slope - 1) / slopeLimit,
    Math.abs(tone.offset) / offsetLimit,
    nonlinear / Math.max(BEND, 2.2 * fit.noise),
    curve / Math.max(TONE.toneCurveDelta, 2.8 * fit.noise),
    localAlertTiles / TONE.localAlertTiles,
    Math.abs(chroma.saturationRatio - 1) / Math.max(TONE.saturation, 1.2 * chroma.noise),
    Math.abs(chroma.hueShiftDegrees) /
      Math.max(TONE.hueDegrees, 22 * chroma.noise, chroma.roundingDegrees),
    chroma.chromaMeanShift / TONE.chromaMeanShift,
  )
  return {
    reliable: true,
    detected: excess >= 1,
    excess,
    slope: tone.slope,
    offset: tone.offset,
    nonlinearDelta: nonlinear,
    toneCurveDelta: curve,
    localAlertTiles,
    saturationRatio: chroma.saturationRatio,
    hueShiftDegrees: chroma.hueShiftDegrees,
    chromaMeanShift: chroma.chromaMeanShift,
  }
}

/** A flat picture has no slope to measure: only its brightness and its colour can be compared. */
function measureFlat(reference: ToneCells, result: ToneCells): MeasuredTone {
  const offset = median([...result.y].map((value, i) => value - (reference.y[i] ?? 0)))
  const { chromaMeanShift } = compareChroma(reference, result)
  const excess = Math.max(Math.abs(offset) / TONE.offset, chromaMeanShift / TONE.chromaMeanShift)
  return { reliable: true, detected: excess >= 1, excess, offset, chromaMeanShift }
}

function spreadOf(values: Float64Array): number {
  const average = mean([...values])
  return Math.sqrt(mean([...values].map((value) => (value - average) ** 2)))
}

interface Line {
  readonly slope: number
  readonly offset: number
  /** Slope of the line by which the reference follows from the result, turned round. */
  readonly steepest: number
  /** Standard deviation and mean of the reference's cells, and mean of the result's. */
  readonly spread: number
  readonly meanLuma: number
  readonly meanResult: number
  /** Standard deviation of what the line leaves, told from its median. */
  readonly noise: number
}

/** Least squares of result on reference over unclipped cells; `undefined` where they do not correspond. */
function fitLine(reference: Float64Array, result: Float64Array): Line | undefined {
  const used: number[] = []
  for (const [i, r] of reference.entries()) if (r > 6 && r < 249) used.push(i)
  if (used.length === 0) return undefined
  const meanR = mean(used.map((i) => reference[i] ?? 0))
  const meanD = mean(used.map((i) => result[i] ?? 0))
  let rr = 0
  let rd = 0
  let dd = 0
  for (const i of used) {
    const r = (reference[i] ?? 0) - meanR
    const d = (result[i] ?? 0) - meanD
    rr += r * r
    rd += r * d
    dd += d * d
  }
  const spread = Math.sqrt(rr / used.length)
  if (spread === 0) return undefined
  const slope = rd / rr
  const correlation = dd > 0 ? rd / Math.sqrt(rr * dd) : 0
  if (correlation < 0.9 || slope <= 0.5 || slope >= 1.6) return undefined
  const offset = meanD - slope * meanR
  const left = used.map((i) => (result[i] ?? 0) - (slope * (reference[i] ?? 0) + offset))
  const noise = deviation(left)
  return { slope, offset, steepest: dd / rd, spread, meanLuma: meanR, meanResult: meanD, noise }
}

/** Of colours that are hardly alike only what they share counts: else noise could pass for colour. */
function colourGain(refEnergy: number, outEnergy: number, dot: number): number {
  if (dot <= 0) return 0
  const alike = dot ** 2 / (refEnergy * outEnergy)
  return provenGain(dot / refEnergy, alike < MIN_COLOUR_LIKENESS ? 0 : outEnergy / dot)
}

/** The least change of contrast that explains a line. */
function provenTone({ slope, steepest, meanLuma, meanResult }: Line): {
  readonly slope: number
  readonly offset: number
} {
  const proven = provenGain(slope, steepest)
  return { slope: proven, offset: meanResult - proven * meanLuma }
}

/**
 * The gain nearest to 1 that two regressions allow: of the result on the reference, which what an encoder leaves out flattens,
 * and of the reference on the result turned round, which it does not.
 */
export function provenGain(forward: number, backward: number): number {
  return Math.max(forward, Math.min(1, backward))
}

/** Standard deviation from the median of |x|, which a few wild values do not move. */
function deviation(values: readonly number[]): number {
  return 1.4826 * median(values.map(Math.abs))
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? 0) + high) / 2
}

/** Largest |median residual| over brightness bins that enough cells fall in. */
function curveResidual(
  reference: Float64Array,
  result: Float64Array,
  predict: (r: number) => number,
): number {
  const bins: number[][] = Array.from({ length: 16 }, () => [])
  for (const [i, r] of reference.entries()) {
    bins[Math.min(15, Math.max(0, Math.floor(r / 16)))]?.push((result[i] ?? 0) - predict(r))
  }
  const needed = Math.max(8, Math.floor(reference.length / 50))
  let worst = 0
  for (const bin of bins) {
    if (bin.length >= needed) worst = Math.max(worst, Math.abs(median(bin)))
  }
  return worst
}

/** How many of 4×4 tiles deviate from the line in the median, by 2 or by 1.6 times the noise. */
function tilesOff(
  reference: Float64Array,
  result: Float64Array,
  fit: Line,
  grid: CellGrid,
): number {
  const tiles: number[][] = Array.from({ length: 16 }, () => [])
  for (const [i, r] of reference.entries()) {
    const row = Math.floor(i / grid.columns)
    const tile =
      Math.floor((row * 4) / grid.rows) * 4 + Math.floor(((i % grid.columns) * 4) / grid.columns)
    tiles[tile]?.push((result[i] ?? 0) - (fit.slope * r + fit.offset))
  }
  const limit = Math.max(2, 1.6 * fit.noise)
  return tiles.filter((tile) => tile.length > 0 && Math.abs(median(tile)) >= limit).length
}

export function compareChroma(
  reference: ToneCells,
  result: ToneCells,
): {
  readonly saturationRatio: number
  readonly hueShiftDegrees: number
  readonly chromaMeanShift: number
  /** Noise of chroma as a share of its strength. */
  readonly noise: number
  /** The angle by which an encoder's rounding turns a faint colour. */
  readonly roundingDegrees: number
} {
  let refEnergy = 0
  let outEnergy = 0
  let dot = 0
  let cross = 0
  let shiftB = 0
  let shiftR = 0
  const cells = reference.cb.length
  for (let i = 0; i < cells; i += 1) {
    const [rb, rr] = [reference.cb[i] ?? 0, reference.cr[i] ?? 0]
    const [ob, or] = [result.cb[i] ?? 0, result.cr[i] ?? 0]
    refEnergy += rb * rb + rr * rr
    outEnergy += ob * ob + or * or
    dot += rb * ob + rr * or
    cross += rb * or - rr * ob
    shiftB += ob - rb
    shiftR += or - rr
  }
  const coloured = cells > 0 && refEnergy / cells >= 4
  const differences = [
    ...reference.cb.map((value, i) => (result.cb[i] ?? 0) - value - shiftB / cells),
    ...reference.cr.map((value, i) => (result.cr[i] ?? 0) - value - shiftR / cells),
  ]
  return {
    noise: coloured ? deviation(differences) / Math.sqrt(refEnergy / cells) : 0,
    roundingDegrees: coloured ? (ROUNDING / Math.sqrt(refEnergy / cells)) * (180 / Math.PI) : 0,
    saturationRatio: coloured ? colourGain(refEnergy, outEnergy, dot) : 1,
    hueShiftDegrees: coloured ? (Math.atan2(cross, dot) * 180) / Math.PI : 0,
    chromaMeanShift: cells > 0 ? Math.hypot(shiftB / cells, shiftR / cells) : 0,
  }
}

/**
 * The frame in the middle of several, measure by measure: one bad frame does not speak for all.
 * Its tone counts as changed from `factor` times the limits on.
 */
export function medianTone(frames: readonly MeasuredTone[], factor: number): MeasuredTone {
  const reliable = frames.filter((frame) => frame.reliable)
  if (reliable.length * 2 < frames.length || reliable.length === 0) return UNRELIABLE
  const middle = (pick: (frame: MeasuredTone) => number | undefined, absent: number): number =>
    median(reliable.map((frame) => pick(frame) ?? absent))
  return {
    reliable: true,
    detected: reliable.filter((frame) => frame.excess >= factor).length * 2 > reliable.length,
    excess: middle((frame) => frame.excess, 0),
    slope: middle((frame) => frame.slope, 1),
    offset: middle((frame) => frame.offset, 0),
    nonlinearDelta: middle((frame) => frame.nonlinearDelta, 0),
    toneCurveDelta: middle((frame) => frame.toneCurveDelta, 0),
    localAlertTiles: middle((frame) => frame.localAlertTiles, 0),
    saturationRatio: middle((frame) => frame.saturationRatio, 1),
    hueShiftDegrees: middle((frame) => frame.hueShiftDegrees, 0),
    chromaMeanShift: middle((frame) => frame.chromaMeanShift, 0),
  }
}
