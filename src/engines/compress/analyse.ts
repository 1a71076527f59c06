import { FrameReader, type ReadFramesOptions, type VideoStreamInfo } from '../../media/index.js'

/** What one frame tells about how hard the clip is to encode; luma steps of 0–255. */
export interface FrameFacts {
  /** Mean difference of a pixel to the mean of its four neighbours: texture and noise. */
  readonly detail: number
  /** Mean difference of pixels eight apart: edges and contrast. */
  readonly contrast: number
  /** Mean difference to the frame before: motion; 0 for the first. */
  readonly motion: number
  /** Half the L1 distance of the luma histograms to the frame before, 0–1. */
  readonly histogramChange: number
}

/** Frames `start` to `end` (exclusive) without a cut between. */
export interface Shot {
  readonly start: number
  readonly end: number
}

export interface Analysis {
  /** Frames that the decoder delivers. */
  readonly frames: number
  readonly facts: readonly FrameFacts[]
  readonly shots: readonly Shot[]
}

/** Larger pictures are scaled down to this width before they are looked at. */
const MAX_WIDTH = 1280
/** Every n-th row is looked at: enough for means. */
const ROW_STEP = 4
const BINS = 32
const BIN_SHIFT = 3
const FAR = 8

/** Facts of a frame; `previous` and `histogramBefore` are those of the frame before, if any. */
export function frameFacts(
  luma: Uint8Array,
  width: number,
  height: number,
  previous: Uint8Array | undefined,
  histogram: Uint32Array,
  histogramBefore: Uint32Array | undefined,
): FrameFacts {
  histogram.fill(0)
  let detail = 0
  let contrast = 0
  let motion = 0
  let pixels = 0
  for (let y = 1; y < height - 1; y += ROW_STEP) {
    const row = y * width
    for (let x = 1; x < width - FAR; x += 1) {
      const i = row + x
      const p = luma[i] ?? 0
      const around =
        (luma[i - 1] ?? 0) + (luma[i + 1] ?? 0) + (luma[i - width] ?? 0) + (luma[i + width] ?? 0)
      detail += Math.abs(4 * p - around)
      contrast += Math.abs(p - (luma[i + FAR] ?? 0))
      if (previous !== undefined) motion += Math.abs(p - (previous[i] ?? 0))
      const bin = p >> BIN_SHIFT
      histogram[bin] = (histogram[bin] ?? 0) + 1
      pixels += 1
    }
  }
  const count = Math.max(1, pixels)
  let change = 0
  if (histogramBefore !== undefined) {
    for (let i = 0; i < BINS; i += 1) {
      change += Math.abs((histogram[i] ?? 0) - (histogramBefore[i] ?? 0))
    }
  }
  return {
    detail: detail / 4 / count,
    contrast: contrast / count,
    motion: motion / count,
    histogramChange: change / 2 / count,
  }
}

const MIN_SHOT_FRAMES = 8
const WINDOW = 6
/** How far a cut's difference stands out of its neighbours', the less the more the histogram changed. */
const SPIKE = 2.5
const CLEAR_SPIKE = 1.5
const MIN_MOTION = 5
const MIN_HISTOGRAM_CHANGE = 0.12
const CLEAR_HISTOGRAM_CHANGE = 0.3

/**
 * Cuts where a frame differs from the one before far more than its neighbours do, in its pixels and
 * in its histogram. Fades and pans are no cuts. Shots shorter than a third of a second are joined to
 * the one before.
 */
export function findShots(facts: readonly FrameFacts[]): readonly Shot[] {
  const cuts: number[] = []
  for (const [i, { motion, histogramChange }] of facts.entries()) {
    if (i === 0 || motion < MIN_MOTION || histogramChange < MIN_HISTOGRAM_CHANGE) continue
    const around = facts
      .slice(Math.max(1, i - WINDOW), i + WINDOW + 1)
      .filter((other) => other !== facts[i])
      .map((other) => other.motion)
      .sort((a, b) => a - b)
    const usual = around[around.length >> 1] ?? 0
    const spike = histogramChange > CLEAR_HISTOGRAM_CHANGE ? CLEAR_SPIKE : SPIKE
    if (motion < spike * usual + MIN_MOTION / 2) continue
    if (i - (cuts.at(-1) ?? 0) >= MIN_SHOT_FRAMES && facts.length - i >= MIN_SHOT_FRAMES) {
      cuts.push(i)
    }
  }
  const starts = [0, ...cuts]
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? facts.length }))
}

type AnalyseOptions = Omit<ReadFramesOptions, 'pixelFormat'> & { readonly signal: AbortSignal }

/** One decode of the whole clip: frame count, facts, shots. */
export async function analyse(
  path: string,
  video: VideoStreamInfo,
  options: AnalyseOptions,
): Promise<Analysis> {
  const shrink = Math.min(1, MAX_WIDTH / video.width)
  const width = Math.round(video.width * shrink)
  const height = Math.round(video.height * shrink)
  await using reader = await FrameReader.open(path, {
    ...options,
    pixelFormat: 'gray',
    width,
    height,
    autorotate: false,
  })
  let current = new Uint8Array(reader.frameBytes)
  let previous = new Uint8Array(reader.frameBytes)
  let histogram = new Uint32Array(BINS)
  let before = new Uint32Array(BINS)
  const facts: FrameFacts[] = []
  while (await reader.readInto(current)) {
    const first = facts.length === 0
    facts.push(
      frameFacts(
        current,
        width,
        height,
        first ? undefined : previous,
        histogram,
        first ? undefined : before,
      ),
    )
    ;[current, previous] = [previous, current]
    ;[histogram, before] = [before, histogram]
  }
  return { frames: facts.length, facts, shots: findShots(facts) }
}
