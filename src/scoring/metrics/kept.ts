import { must } from '../../lib/errors.js'
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

/** Contrast between neighbours in means over 2x2 pixels: what decides whether a picture looks sharp. */
const COARSE = [-1, 1]
/** What is left near the limit of what pixels can hold: nothing passes from two thirds of it down. */
const FINE = [-1, 6, -15, 20, -15, 6, -1]
/** Detail of chroma, which has half of luma's samples. */
const COLOUR = [-1, 0, 2, 0, -1]
const BANDS = ['coarse', 'fine', 'colour'] as const
type Band = (typeof BANDS)[number]

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

  /** Gain to expect of `band` where the coarse contrast has come through by `coarse`. */
  expected(band: Band, coarse: number): number {
    const points = this.#curve.map((gains) => [gains.gain('coarse'), gains.gain(band)] as const)
    const below = points.findIndex(([gain]) => gain <= coarse)
    const [low, lowBand] = points[below] ?? [0, 0]
    const [high, highBand] = points[(below < 0 ? points.length : below) - 1] ?? [low, lowBand]
    const share = high > low ? (coarse - low) / (high - low) : 0
    return lowBand + Math.min(1, share) * (highBand - lowBand)
  }
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
      expected: this.#yardstick.expected(band, this.#gains.gain('coarse')),
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
