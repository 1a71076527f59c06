/** One analysed frame: 8-bit 4:2:0 planes as they are stored, limited range. */
export interface Planes {
  readonly width: number
  readonly height: number
  readonly y: Uint8Array
  readonly u: Uint8Array
  readonly v: Uint8Array
}

/** Views on the planes of a packed yuv420p frame. */
export function planesOf(data: Uint8Array, width: number, height: number): Planes {
  const chroma = Math.ceil(width / 2) * Math.ceil(height / 2)
  const luma = width * height
  return {
    width,
    height,
    y: data.subarray(0, luma),
    u: data.subarray(luma, luma + chroma),
    v: data.subarray(luma + chroma, luma + 2 * chroma),
  }
}

/** Mean |a − b| of two planes of equal size. */
export function meanAbsoluteDifference(a: Uint8Array, b: Uint8Array): number {
  let total = 0
  for (let i = 0; i < a.length; i += 1) total += Math.abs((a[i] ?? 0) - (b[i] ?? 0))
  return a.length === 0 ? 0 : total / a.length
}

export function meanOf(plane: Uint8Array): number {
  let total = 0
  for (let i = 0; i < plane.length; i += 1) total += plane[i] ?? 0
  return plane.length === 0 ? 0 : total / plane.length
}

export interface CellGrid {
  readonly columns: number
  readonly rows: number
}

/**
 * A grid of square-ish cells, about 48 across. Means over cells hide what an encoder does to
 * detail and keep what a change of tone does to areas.
 */
export function gridFor(width: number, height: number): CellGrid {
  const cell = Math.max(4, Math.round(width / 48))
  return {
    columns: Math.max(1, Math.floor(width / cell)),
    rows: Math.max(1, Math.floor(height / cell)),
  }
}

/** Mean of each cell, row by row. */
export function cellMeans(
  plane: Uint8Array,
  width: number,
  height: number,
  grid: CellGrid,
): Float64Array {
  const means = new Float64Array(grid.columns * grid.rows)
  for (let row = 0; row < grid.rows; row += 1) {
    const top = Math.floor((row * height) / grid.rows)
    const bottom = Math.floor(((row + 1) * height) / grid.rows)
    for (let column = 0; column < grid.columns; column += 1) {
      const left = Math.floor((column * width) / grid.columns)
      const right = Math.floor(((column + 1) * width) / grid.columns)
      let total = 0
      for (let y = top; y < bottom; y += 1) {
        for (let x = left; x < right; x += 1) total += plane[y * width + x] ?? 0
      }
      means[row * grid.columns + column] = total / Math.max(1, (bottom - top) * (right - left))
    }
  }
  return means
}
