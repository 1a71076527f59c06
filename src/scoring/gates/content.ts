import {
  chromaGate,
  type FrameColour,
  grayGate,
  type ToneVerdict,
  toneAggregate,
} from '../formulas/evidence.js'
import { mean } from '../formulas/numbers.js'
import type { GateOutcome } from '../types.js'
import { failed, gate, passed } from './codes.js'
import { ResidualSketch } from './copies.js'
import {
  type CellGrid,
  cellMeans,
  gridFor,
  meanAbsoluteDifference,
  meanOf,
  type Planes,
} from './planes.js'
import {
  compareChroma,
  type MeasuredTone,
  measureTone,
  medianTone,
  type ToneCells,
  toneCells,
} from './tone.js'

/** Limits of the gates on content. Luma is 8 bit, limited range. */
export const CONTENT = {
  frameCountTolerance: 1,
  minReferenceFrames: 10,
  /** Mean luma below which a frame is black, and how far it must lie below the reference. */
  blackLuma: 20,
  blackDrop: 6,
  /** Mean movement between frames from which the reference counts as moving. */
  movingChange: 0.6,
  /** A frame is frozen when it changes less than this share of the reference's movement. */
  frozenShare: 0.1,
  /** A frame is misplaced when a neighbour's reference is nearer by this factor. */
  misplacedShare: 0.7,
  /** Share of moving frames that an encoder may blend with their neighbours. */
  misplacedTolerance: 0.05,
  minCorrelation: 0.85,
  /** Saturation below which a reference's colour is the noise of its own encoder. */
  faintSaturation: 4,
  /** A frozen frame also resembles the reference of the frame before, by this factor. */
  frozenLikeness: 0.8,
  /** Bias of a cell over the whole clip that speaks of something drawn, and how many such cells. */
  overlayBias: 12,
  overlayCells: 4,
} as const

/** One reference frame, measured once for all results. */
export interface ReferenceFrame {
  readonly planes: Planes
  readonly grid: CellGrid
  readonly cells: ToneCells
  readonly luma: number
  /** Mean distance of areas' colours from neutral, in levels; over areas the noise of chroma averages out. */
  readonly saturation: number
  /** Mean change from the frame before; 0 for the first. */
  readonly change: number
  /** What of it is not grain, which changes from frame to frame where nothing moves. */
  readonly movement: number
  /** Luma as means over blocks, where grain averages out. */
  readonly coarse: Uint8Array
}

export function measureReference(
  planes: Planes,
  previous: ReferenceFrame | undefined,
): ReferenceFrame {
  const grid = gridFor(planes.width, planes.height)
  const coarse = blockMeans(planes)
  const change = previous === undefined ? 0 : meanAbsoluteDifference(planes.y, previous.planes.y)
  const moved = previous === undefined ? 0 : meanAbsoluteDifference(coarse, previous.coarse)
  const cells = cellsOf(planes, grid)
  return {
    planes,
    grid,
    cells,
    luma: meanOf(planes.y),
    saturation: saturationOf(cells),
    change,
    movement: withoutGrain(change, moved),
    coarse,
  }
}

/** Means over so many samples a side: of grain a quarter is left, of a thing that moves nearly all. */
const GRAIN_BLOCK = 4

function blockMeans({ width, height, y }: Planes): Uint8Array {
  const columns = Math.floor(width / GRAIN_BLOCK)
  const rows = Math.floor(height / GRAIN_BLOCK)
  const means = new Uint8Array(columns * rows)
  for (let block = 0; block < means.length; block += 1) {
    const left = (block % columns) * GRAIN_BLOCK
    const top = Math.floor(block / columns) * GRAIN_BLOCK
    let sum = 0
    for (let j = top; j < top + GRAIN_BLOCK; j += 1) {
      for (let i = left; i < left + GRAIN_BLOCK; i += 1) sum += y[j * width + i] ?? 0
    }
    means[block] = Math.round(sum / GRAIN_BLOCK ** 2)
  }
  return means
}

/** Movement and grain add up as squares; over a block the square of grain is divided by its samples. */
function withoutGrain(change: number, coarseChange: number): number {
  const samples = GRAIN_BLOCK ** 2
  const square = (samples * coarseChange ** 2 - change ** 2) / (samples - 1)
  return Math.min(change, Math.sqrt(Math.max(0, square)))
}

function cellsOf(planes: Planes, grid: CellGrid): ToneCells {
  const { width, height } = planes
  const [cw, ch] = [Math.ceil(width / 2), Math.ceil(height / 2)]
  return toneCells(
    cellMeans(planes.y, width, height, grid),
    cellMeans(planes.u, cw, ch, grid),
    cellMeans(planes.v, cw, ch, grid),
  )
}

function saturationOf({ cb, cr }: ToneCells): number {
  return mean(Array.from(cb, (value, i) => Math.hypot(value, cr[i] ?? 0)))
}

/** Follows one result beside its reference, frame by frame, in memory that grows by few numbers. */
export class ContentComparison {
  readonly sketch = new ResidualSketch()
  #frames = 0
  #identical = true
  #black: number[] = []
  #frozen: number[] = []
  #misplaced: number[] = []
  #moving = 0
  #correlations: number[] = []
  #referenceColour: FrameColour[] = []
  #resultColour: FrameColour[] = []
  #tone: MeasuredTone[] = []
  #bias: Float64Array | undefined
  #previous: { reference: ReferenceFrame; y: Uint8Array } | undefined

  /** Frames must come in order; `planes` may be reused by the caller after the call. */
  add(reference: ReferenceFrame, planes: Planes): void {
    const index = this.#frames
    this.#frames += 1
    const luma = meanOf(planes.y)
    const cells = cellsOf(planes, reference.grid)
    const error = meanAbsoluteDifference(planes.y, reference.planes.y)
    this.#identical = this.#identical && error === 0
    if (luma < CONTENT.blackLuma && reference.luma - luma >= CONTENT.blackDrop) {
      this.#black.push(index)
    }
    this.#checkMotion(index, reference, planes, error)
    this.#referenceColour.push({ y: reference.luma, s: reference.saturation })
    const { saturationRatio } = compareChroma(reference.cells, cells)
    this.#resultColour.push({ y: luma, s: reference.saturation * saturationRatio })
    const correlation = correlate(reference.cells.y, cells.y)
    if (correlation !== undefined) this.#correlations.push(correlation)
    this.#tone.push(measureTone(reference.cells, cells, reference.grid))
    this.#bias ??= new Float64Array(cells.y.length)
    for (const [i, value] of cells.y.entries()) {
      this.#bias[i] = (this.#bias[i] ?? 0) + value - (reference.cells.y[i] ?? 0)
    }
    this.sketch.add(index, reference.planes.y, planes.y)
    this.#previous = { reference, y: Uint8Array.from(planes.y) }
  }

  #checkMotion(index: number, reference: ReferenceFrame, planes: Planes, error: number): void {
    const previous = this.#previous
    if (previous === undefined || reference.movement < CONTENT.movingChange) return
    this.#moving += 1
    const late = meanAbsoluteDifference(planes.y, previous.reference.planes.y)
    const early = meanAbsoluteDifference(previous.y, reference.planes.y)
    const change = meanAbsoluteDifference(planes.y, previous.y)
    const before = meanAbsoluteDifference(previous.y, previous.reference.planes.y)
    const still = change <= CONTENT.frozenShare * reference.movement
    if (still && late < CONTENT.frozenLikeness * error) this.#frozen.push(index)
    else if (
      late < CONTENT.misplacedShare * error ||
      early < CONTENT.misplacedShare * Math.min(before, reference.change)
    ) {
      this.#misplaced.push(index)
    }
  }

  /**
   * Verdicts on everything seen. `allowFrozenTail`: frames at the end that an upscaler may repeat.
   * `toneFactor`: how many times the limits of tone apply; an upscaler reconstructs, and differs more.
   */
  gates(
    count: { readonly reference: number; readonly result: number },
    options: {
      readonly allowFrozenTail: number
      readonly sameCodec: boolean
      readonly toneFactor: number
    },
  ): readonly GateOutcome[] {
    const counted = gate(
      'frame-count',
      Math.abs(count.reference - count.result) <= CONTENT.frameCountTolerance,
      `${count.result} frames, reference ${count.reference}`,
    )
    if (this.#frames === 0) return [counted, failed('same-content', 'no frame could be compared')]
    const correlation = this.#correlations.length === 0 ? 1 : mean(this.#correlations)
    const same = gate(
      'same-content',
      correlation >= CONTENT.minCorrelation,
      `areas correlate by ${correlation.toFixed(3)}; at least ${CONTENT.minCorrelation} is asked`,
    )
    // Of another picture nothing more can be said.
    if (!same.passed) return [counted, same]
    const lastAllowed = count.reference - options.allowFrozenTail
    const frozen = this.#frozen.filter((index) => index < lastAllowed)
    const misplacedMax = Math.max(1, Math.floor(this.#moving * CONTENT.misplacedTolerance))
    return [
      counted,
      same,
      frameList('black-frames', this.#black, 0, 'black where the reference is lit'),
      frameList('frozen-frames', frozen, 0, 'a repeat of the one before'),
      frameList('frame-order', this.#misplaced, misplacedMax, 'nearer to a neighbour’s moment'),
      this.#grayGate(),
      this.#chromaGate(),
      this.#toneGate(options.toneFactor),
      this.#overlayGate(),
      gate(
        'unchanged-input',
        !(this.#identical && options.sameCodec),
        this.#identical ? 'every frame equals the reference' : 'frames differ from the reference',
      ),
    ]
  }

  #grayGate(): GateOutcome {
    const verdict = grayGate(this.#referenceColour, this.#resultColour)
    return gate(
      'gray',
      verdict.ok,
      `${(verdict.ratio * 100).toFixed(0)} % of ${verdict.checked} coloured frames lost their colour`,
    )
  }

  #chromaGate(): GateOutcome {
    const coloured = [...this.#referenceColour.keys()].filter(
      (index) => (this.#referenceColour[index]?.s ?? 0) >= CONTENT.faintSaturation,
    )
    const saturations = (frames: readonly FrameColour[]) =>
      coloured.map((index) => frames[index]?.s ?? 0)
    const verdict = chromaGate(saturations(this.#referenceColour), saturations(this.#resultColour))
    return gate(
      'chroma',
      verdict.ok,
      verdict.ratio === undefined
        ? 'the reference has no colour'
        : `${(verdict.ratio * 100).toFixed(0)} % of chroma energy kept`,
    )
  }

  #toneGate(factor: number): GateOutcome {
    const { verdict, worst } = this.tone(factor)
    if (!verdict.detected) return passed('tone', `tone differs by ${worst}`)
    return failed(
      'tone',
      verdict.verificationFailed
        ? 'tone could not be compared on most frames'
        : `brightness or colour was changed by ${worst}`,
    )
  }

  /** Five stretches of the clip, each judged by its middle frame. */
  tone(factor: number): { readonly verdict: ToneVerdict; readonly worst: string } {
    const stretches = Array.from({ length: 5 }, (_, i) =>
      this.#tone.slice(
        Math.floor((i * this.#tone.length) / 5),
        Math.floor(((i + 1) * this.#tone.length) / 5),
      ),
    )
    const frames = stretches
      .filter((stretch) => stretch.length > 0)
      .map((stretch) => medianTone(stretch, factor))
    const verdict = toneAggregate(frames)
    const most = (pick: (frame: MeasuredTone) => number): number =>
      frames.reduce((far, frame) => (Math.abs(pick(frame)) > Math.abs(far) ? pick(frame) : far), 0)
    const measures = [
      `slope ${(1 + most((frame) => (frame.slope ?? 1) - 1)).toFixed(4)}`,
      `offset ${most((frame) => frame.offset ?? 0).toFixed(2)}`,
      `curve ${most((frame) => frame.toneCurveDelta ?? 0).toFixed(2)}`,
      `bend ${most((frame) => frame.nonlinearDelta ?? 0).toFixed(2)}`,
      `tiles ${most((frame) => frame.localAlertTiles ?? 0)}`,
      `saturation ${(1 + most((frame) => (frame.saturationRatio ?? 1) - 1)).toFixed(3)}`,
      `hue ${most((frame) => frame.hueShiftDegrees ?? 0).toFixed(2)}°`,
      `chroma shift ${most((frame) => frame.chromaMeanShift ?? 0).toFixed(2)}`,
    ]
    const worst = `${most((frame) => frame.excess).toFixed(2)} of the limit (${measures.join(', ')})`
    return { verdict, worst }
  }

  #overlayGate(): GateOutcome {
    const bias = [...(this.#bias ?? [])].map((total) => Math.abs(total / this.#frames))
    // A coarse encode is off everywhere by a little; what is drawn is off in a few places by a lot.
    const usual = [...bias].sort((a, b) => a - b)[bias.length >> 1] ?? 0
    const limit = Math.max(CONTENT.overlayBias, 8 * usual)
    const marked = bias.filter((value) => value >= limit).length
    return gate(
      'overlay',
      marked < CONTENT.overlayCells,
      `${marked} of ${bias.length} areas are off by ${limit.toFixed(0)} levels over the whole clip`,
    )
  }
}

function frameList(
  code: 'black-frames' | 'frozen-frames' | 'frame-order',
  frames: readonly number[],
  allowed: number,
  what: string,
): GateOutcome {
  const shown = frames.slice(0, 5).join(', ')
  const more = frames.length > 5 ? ' …' : ''
  const many = frames.length === 1 ? 'frame is' : 'frames are'
  const detail =
    frames.length === 0
      ? `no frame is ${what}`
      : `${frames.length} ${many} ${what} (${shown}${more})`
  return gate(code, frames.length <= allowed, detail)
}

/** Pearson correlation; `undefined` where the reference is flat. */
function correlate(a: Float64Array, b: Float64Array): number | undefined {
  const meanA = mean([...a])
  const meanB = mean([...b])
  let aa = 0
  let ab = 0
  let bb = 0
  for (let i = 0; i < a.length; i += 1) {
    const x = (a[i] ?? 0) - meanA
    const y = (b[i] ?? 0) - meanB
    aa += x * x
    ab += x * y
    bb += y * y
  }
  if (a.length === 0 || Math.sqrt(aa / a.length) < 4) return undefined
  return bb === 0 ? 0 : ab / Math.sqrt(aa * bb)
}
