/** Samples a side of a transformed block, as in most codecs. */
const BLOCK = 8
/** Part of a step from which a coefficient counts as a whole one: encoders round down to save bits. */
const ROUNDING = 1 / 3

/** The discrete cosine transform of eight samples, orthonormal: `FORWARD[8 k + n]`. */
const FORWARD = Float64Array.from({ length: BLOCK * BLOCK }, (_, i) => {
  const [k, n] = [Math.floor(i / BLOCK), i % BLOCK]
  return Math.sqrt((k === 0 ? 1 : 2) / BLOCK) * Math.cos(((2 * n + 1) * k * Math.PI) / (2 * BLOCK))
})
const BACKWARD = FORWARD.map((_, i) => FORWARD[(i % BLOCK) * BLOCK + Math.floor(i / BLOCK)] ?? 0)

/** A square plane in the form that encoders round; its side is a multiple of eight. */
export class TransformedPlane {
  readonly #side: number
  readonly #coefficients: Float64Array

  constructor(plane: Float32Array, side: number) {
    this.#side = side
    this.#coefficients = Float64Array.from(plane)
    for (const start of this.#blocks()) transform(this.#coefficients, start, side, FORWARD)
  }

  /** The plane again, after each coefficient was brought to a multiple of `step`. */
  rounded(step: number): Float32Array {
    const out = new Float64Array(this.#coefficients.length)
    for (let i = 0; i < out.length; i += 1) {
      const value = this.#coefficients[i] ?? 0
      const size = step * Math.floor(Math.abs(value) / step + ROUNDING)
      out[i] = value < 0 ? -size : size
    }
    for (const start of this.#blocks()) transform(out, start, this.#side, BACKWARD)
    return Float32Array.from(out)
  }

  *#blocks(): Generator<number> {
    for (let top = 0; top < this.#side; top += BLOCK) {
      for (let left = 0; left < this.#side; left += BLOCK) yield top * this.#side + left
    }
  }
}

/** Rows, then columns of one block, in place. */
function transform(plane: Float64Array, start: number, side: number, basis: Float64Array): void {
  for (const [along, across] of [
    [1, side],
    [side, 1],
  ] as const) {
    for (let line = 0; line < BLOCK; line += 1) pass(plane, start + line * across, along, basis)
  }
}

/** Written out, for this is where the time goes. */
function pass(plane: Float64Array, at: number, along: number, basis: Float64Array): void {
  const sample = (i: number): number => plane[at + i * along] ?? 0
  const [a, b, c, d] = [sample(0), sample(1), sample(2), sample(3)]
  const [e, f, g, h] = [sample(4), sample(5), sample(6), sample(7)]
  const weight = (i: number): number => basis[i] ?? 0
  for (let k = 0; k < BLOCK; k += 1) {
    const row = k * BLOCK
    plane[at + k * along] =
      weight(row) * a +
      weight(row + 1) * b +
      weight(row + 2) * c +
      weight(row + 3) * d +
      weight(row + 4) * e +
      weight(row + 5) * f +
      weight(row + 6) * g +
      weight(row + 7) * h
  }
}
