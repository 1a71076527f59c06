import { must } from '../../lib/errors.js'
import { clamp } from '../formulas/numbers.js'
import type { Kept, KeptShare } from '../types.js'
import { TransformedPlane } from './quantise.js'

/** Pixels a side of what is compared; half as many samples of chroma. */
const TILE = 32
/** Tiles taken from one frame, spread over it, others in each. */
const TILES = 24
/** Frames taken from one clip, and how far apart they lie at least. */
const MAX_FRAMES = 30
const MIN_STEP = 5
/** Quantiser steps of the yardstick, in levels of 8 bits: from barely visible to ruined. */
const STEPS = [4, 8, 14, 22, 34, 52, 80]
/** Their logarithms to base 2, between those of a step that takes next to nothing and one that takes all. */
const OCTAVES = [2, ...STEPS, 320].map(Math.log2)

/** Contrast between neighbours in means over 2x2 pixels: what decides whether a picture looks sharp. */
const COARSE = [-1, 1]
/** What is left near the limit of what pixels can hold: nothing passes from two thirds of it down. */
const FINE = [-1, 6, -15, 20, -15, 6, -1]
/** Detail of chroma, which has half of luma's samples. */
const COLOUR = [-1, 0, 2, 0, -1]
const BANDS = ['coarse', 'fine', 'colour'] as const
type Band = (typeof BANDS)[number]

/** Multiple of the median size from which detail stands out: of noise one sample in twenty thousand does. */
const OUTSTANDING = 6

/** A picture in memory: samples of 4:2:0 planes, chroma absent where it is not compared. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly depth: 8 | 10
  readonly luma: Uint8Array | Uint16Array
  readonly chroma: readonly (Uint8Array | Uint16Array)[]
}

interface Tile {
  readonly luma: Float32Array
  readonly chroma: readonly Float32Array[]
}

type Signals = Readonly<Record<Band, Float32Array>>

/** How much of a reference's contrast came through, by regression: 1 all of it, 0 nothing. */
class Gains {
  readonly #products = { coarse: 0, fine: 0, colour: 0 }
  readonly #squares = { coarse: 0, fine: 0, colour: 0 }
  readonly #counts = { coarse: 0, fine: 0, colour: 0 }

  add(reference: Signals, result: Signals): void {
    for (const band of BANDS) {
      const [a, b] = [reference[band], result[band]]
      // Chroma that the result does not have is not compared.
      if (a.length !== b.length) continue
      let squares = 0
      let products = 0
      for (let i = 0; i < a.length; i += 1) {
        const r = a[i] ?? 0
        squares += r * r
        products += r * (b[i] ?? 0)
      }
      this.#squares[band] += squares
      this.#products[band] += products
      this.#counts[band] += a.length
    }
  }

  gain(band: Band): number {
    return this.#squares[band] === 0 ? 0 : this.#products[band] / this.#squares[band]
  }

  /** Root mean square of the reference's contrast, in levels of 8 bits. */
  strength(band: Band): number {
    return this.#counts[band] === 0 ? 0 : Math.sqrt(this.#squares[band] / this.#counts[band])
  }
}

interface Sample {
  readonly index: number
  readonly signals: readonly Signals[]
}

/**
 * What plain transform coding leaves of a reference, from fine to coarse: the yardstick for its
 * results. One is made per reference, and fed its scored frames in order.
 */
export class Yardstick {
  readonly #step: number
  readonly #curve = STEPS.map(() => new Gains())
  #frames = 0
  #samples = 0
  #current: Sample | undefined

  /** @param frames how many frames will come, about */
  constructor(frames: number) {
    this.#step = Math.max(MIN_STEP, Math.ceil(frames / MAX_FRAMES))
  }

  /** Takes the next frame. Most are passed over: those come back as undefined. */
  next(picture: () => Picture): Sample | undefined {
    this.#frames += 1
    this.#current = undefined
    if ((this.#frames - 1) % this.#step !== 0) return undefined
    const tiles = tilesOf(picture(), this.#samples)
    const signals = tiles.map(signalsOf)
    for (const band of ['fine', 'colour'] as const) keepOutstanding(signals.map((of) => of[band]))
    for (const [t, tile] of tiles.entries()) {
      const luma = new TransformedPlane(tile.luma, TILE)
      const chroma = tile.chroma.map((plane) => new TransformedPlane(plane, TILE / 2))
      for (const [i, step] of STEPS.entries()) {
        const coded = {
          luma: luma.rounded(step),
          chroma: chroma.map((plane) => plane.rounded(step)),
        }
        must(this.#curve[i], 'step').add(must(signals[t], 'tile'), signalsOf(coded))
      }
    }
    this.#current = { index: this.#samples, signals }
    this.#samples += 1
    return this.#current
  }

  /** The frame taken last, if it was not passed over. */
  get current(): Sample | undefined {
    return this.#current
  }

  /** What to expect of `band` where the coarse contrast has come through by `coarse`, and what `kept` of it says. */
  judge(band: Band, coarse: number, kept: number): Pick<KeptShare, 'expected' | 'coarser'> {
    const step = between(this.#gains('coarse'), OCTAVES, coarse)
    // Finer than the finest step that was tried nothing is known.
    const expected = between(OCTAVES, this.#gains(band), Math.max(step, must(OCTAVES[1], 'step')))
    return { expected, coarser: between(this.#gains(band), OCTAVES, kept) - step }
  }

  /** Gains of a band at each of the octaves, never rising. */
  #gains(band: Band): readonly number[] {
    let least = 1
    const measured = this.#curve.map((gains) => {
      least = Math.min(least, Math.max(0, gains.gain(band)))
      return least
    })
    return [1, ...measured, 0]
  }
}

/** The value of `ys` where `xs`, sorted in either direction, takes the value `x`; the ends where it lies beyond them. */
function between(xs: readonly number[], ys: readonly number[], x: number): number {
  const [first = 0, last = 0] = [xs[0], xs.at(-1)]
  const inside = clamp(x, Math.min(first, last), Math.max(first, last))
  const rising = first <= last
  const after = Math.max(
    1,
    xs.findIndex((value) => (rising ? value >= inside : value <= inside)),
  )
  const [x0 = 0, x1 = 0, y0 = 0, y1 = 0] = [xs[after - 1], xs[after], ys[after - 1], ys[after]]
  return x1 === x0 ? y0 : y0 + ((inside - x0) / (x1 - x0)) * (y1 - y0)
}

/** Compares one result with its reference, beside the yardstick. */
export class KeptMeter {
  readonly #yardstick: Yardstick
  readonly #gains = new Gains()

  constructor(yardstick: Yardstick) {
    this.#yardstick = yardstick
  }

  /** Takes the result's frame for the reference's that the yardstick took last. */
  add(picture: () => Picture): void {
    const sample = this.#yardstick.current
    if (sample === undefined) return
    for (const [i, tile] of tilesOf(picture(), sample.index).entries()) {
      this.#gains.add(must(sample.signals[i], 'tile'), signalsOf(tile))
    }
  }

  get kept(): Kept {
    const share = (band: 'fine' | 'colour'): KeptShare => ({
      strength: this.#gains.strength(band),
      kept: this.#gains.gain(band),
      ...this.#yardstick.judge(band, this.#gains.gain('coarse'), this.#gains.gain(band)),
    })
    return { fine: share('fine'), colour: share('colour') }
  }
}

/** Tiles of a picture, in levels of 8 bits. Which ones depends on the sample's number alone. */
function tilesOf(picture: Picture, sample: number): readonly Tile[] {
  const { width, height, luma, chroma, depth } = picture
  const columns = Math.floor(width / TILE)
  const total = columns * Math.floor(height / TILE)
  const taken = Math.min(total, TILES)
  // The golden ratio shifts each sample's lattice to where the ones before have not been.
  const shift = (sample * 0.618_034) % 1
  const scale = depth === 10 ? 0.25 : 1
  return Array.from({ length: taken }, (_, k) => {
    const place = Math.floor(((k + shift) * total) / taken)
    const [left, top] = [(place % columns) * TILE, Math.floor(place / columns) * TILE]
    return {
      luma: cut(luma, width, left, top, TILE, scale),
      chroma: chroma.map((plane) =>
        cut(plane, Math.ceil(width / 2), left / 2, top / 2, TILE / 2, scale),
      ),
    }
  })
}

function cut(
  plane: Uint8Array | Uint16Array,
  width: number,
  left: number,
  top: number,
  side: number,
  scale: number,
): Float32Array {
  const out = new Float32Array(side * side)
  for (let y = 0; y < side; y += 1) {
    const from = (top + y) * width + left
    for (let x = 0; x < side; x += 1) out[y * side + x] = scale * (plane[from + x] ?? 0)
  }
  return out
}

function signalsOf({ luma, chroma }: Tile): Signals {
  const colour = chroma.map((plane) => filtered(plane, TILE / 2, COLOUR))
  const both = new Float32Array(colour.reduce((sum, plane) => sum + plane.length, 0))
  let at = 0
  for (const plane of colour) {
    both.set(plane, at)
    at += plane.length
  }
  return {
    coarse: filtered(halved(luma), TILE / 2, COARSE),
    fine: filtered(luma, TILE, FINE),
    colour: both,
  }
}

/**
 * Takes away what does not stand out. Noise is new in every frame, so encoders leave it out first however fine they
 * code the rest; edges they keep, and a picture that was scaled or blurred has lost those as well.
 */
function keepOutstanding(signals: readonly Float32Array[]): void {
  const sizes = new Float32Array(signals.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const signal of signals) {
    for (const value of signal) {
      sizes[at] = Math.abs(value)
      at += 1
    }
  }
  sizes.sort()
  const least = OUTSTANDING * (sizes[sizes.length >> 1] ?? 0)
  for (const signal of signals) {
    for (let i = 0; i < signal.length; i += 1) if (Math.abs(signal[i] ?? 0) < least) signal[i] = 0
  }
}

function halved(luma: Float32Array): Float32Array {
  const side = TILE / 2
  return Float32Array.from({ length: side * side }, (_, i) => {
    const at = 2 * Math.floor(i / side) * TILE + 2 * (i % side)
    const above = (luma[at] ?? 0) + (luma[at + 1] ?? 0)
    return (above + (luma[at + TILE] ?? 0) + (luma[at + TILE + 1] ?? 0)) / 4
  })
}

/** A filter along rows, then along columns, where it fits; its energy is taken to be 1. */
function filtered(plane: Float32Array, side: number, taps: readonly number[]): Float32Array {
  const norm = Math.hypot(...taps)
  const places = side - taps.length + 1
  const out = new Float32Array(2 * places * side)
  let at = 0
  for (const [along, across] of [
    [1, side],
    [side, 1],
  ] as const) {
    for (let j = 0; j < side; j += 1) {
      for (let i = 0; i < places; i += 1) {
        let sum = 0
        const from = j * across + i * along
        for (let t = 0; t < taps.length; t += 1) {
          sum += (taps[t] ?? 0) * (plane[from + t * along] ?? 0)
        }
        out[at] = sum / norm
        at += 1
      }
    }
  }
  return out
}
