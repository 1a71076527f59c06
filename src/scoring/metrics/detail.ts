/** Every how many scored frames detail is compared: it changes slowly, and costs 20 ms at 1080p. */
const EVERY = 5

type Samples = Uint8Array | Uint16Array

/**
 * Likeness of the detail of two clips that is finer than `scale` pixels, which a picture smaller by
 * that factor cannot hold: correlation of what is left of luma after averaging blocks of that size and
 * scaling the averages up again. Sharpening makes the detail that is there stronger, which a
 * correlation does not see; only detail put back where the reference has it raises it.
 */
export class DetailMeter {
  readonly #width: number
  readonly #height: number
  readonly #scale: number
  readonly #samples: (frame: Uint8Array) => Samples
  #frames = 0
  #rr = 0
  #rd = 0
  #dd = 0

  constructor(
    format: { readonly width: number; readonly height: number; readonly depth: 8 | 10 },
    scale: number,
  ) {
    this.#width = format.width
    this.#height = format.height
    this.#scale = scale
    this.#samples = (frame) =>
      format.depth === 8
        ? frame
        : new Uint16Array(frame.buffer, frame.byteOffset, frame.byteLength / 2)
  }

  /** Takes the next frame of both, stored as the graphs take them; most frames are passed over. */
  add(reference: Uint8Array, distorted: Uint8Array): void {
    this.#frames += 1
    if ((this.#frames - 1) % EVERY !== 0) return
    const r = new FineRows(this.#samples(reference), this.#width, this.#height, this.#scale)
    const d = new FineRows(this.#samples(distorted), this.#width, this.#height, this.#scale)
    for (let y = 0; y < r.height; y += 1) {
      const [a, b] = [r.row(y), d.row(y)]
      for (let x = 0; x < a.length; x += 1) {
        const [p, q] = [a[x] ?? 0, b[x] ?? 0]
        this.#rr += p * p
        this.#rd += p * q
        this.#dd += q * q
      }
    }
  }

  /** −1 to 1; 0 where either clip has no such detail. */
  get likeness(): number {
    return this.#rr === 0 || this.#dd === 0 ? 0 : this.#rd / Math.sqrt(this.#rr * this.#dd)
  }
}

/** Where samples lie between the centres of blocks: the two nearest, and how far from the first, 0–1. */
interface Axis {
  readonly blocks: number
  readonly first: Int32Array
  readonly second: Int32Array
  readonly share: Float32Array
}

function axisOf(length: number, scale: number): Axis {
  const blocks = Math.floor(length / scale)
  const at = Float32Array.from({ length: blocks * scale }, (_, i) =>
    Math.min(blocks - 1, Math.max(0, (i + 0.5) / scale - 0.5)),
  )
  const first = Int32Array.from(at, Math.floor)
  return {
    blocks,
    first,
    second: first.map((i) => Math.min(blocks - 1, i + 1)),
    share: at.map((place, i) => place - (first[i] ?? 0)),
  }
}

/** A picture less its own averages over blocks, scaled up bilinearly: row by row, in whole blocks. */
class FineRows {
  readonly #samples: Samples
  readonly #width: number
  readonly #columns: Axis
  readonly #rows: Axis
  readonly #means: Float32Array
  readonly #line: Float32Array
  readonly #row: Float32Array

  constructor(samples: Samples, width: number, height: number, scale: number) {
    this.#samples = samples
    this.#width = width
    this.#columns = axisOf(width, scale)
    this.#rows = axisOf(height, scale)
    this.#line = new Float32Array(this.#columns.blocks)
    this.#row = new Float32Array(this.#columns.blocks * scale)
    this.#means = new Float32Array(this.#columns.blocks * this.#rows.blocks)
    for (let block = 0; block < this.#means.length; block += 1) {
      const left = (block % this.#columns.blocks) * scale
      const top = Math.floor(block / this.#columns.blocks) * scale
      let sum = 0
      for (let y = 0; y < scale; y += 1) {
        const from = (top + y) * width + left
        for (let x = 0; x < scale; x += 1) sum += samples[from + x] ?? 0
      }
      this.#means[block] = sum / (scale * scale)
    }
  }

  get height(): number {
    return this.#rows.first.length
  }

  /** Valid until the next call. */
  row(y: number): Float32Array {
    const [means, line, row, samples] = [this.#means, this.#line, this.#row, this.#samples]
    const { blocks, first, second, share } = this.#columns
    const upper = (this.#rows.first[y] ?? 0) * blocks
    const lower = (this.#rows.second[y] ?? 0) * blocks
    const down = this.#rows.share[y] ?? 0
    for (let i = 0; i < blocks; i += 1) {
      const above = means[upper + i] ?? 0
      line[i] = above + down * ((means[lower + i] ?? 0) - above)
    }
    const from = y * this.#width
    for (let x = 0; x < row.length; x += 1) {
      const left = line[first[x] ?? 0] ?? 0
      const coarse = left + (share[x] ?? 0) * ((line[second[x] ?? 0] ?? 0) - left)
      row[x] = (samples[from + x] ?? 0) - coarse
    }
    return row
  }
}
