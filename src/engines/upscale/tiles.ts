/** One piece of a picture, in source pixels. What is kept lies inside what is read. */
export interface Tile {
  readonly read: Rect
  readonly keep: Rect
}

export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

interface Span {
  readonly start: number
  readonly end: number
}

/** Cuts 0..length into equal parts of at most `max`. */
function parts(length: number, max: number): readonly Span[] {
  const count = Math.ceil(length / max)
  return Array.from({ length: count }, (_, i) => ({
    start: Math.round((i * length) / count),
    end: Math.round(((i + 1) * length) / count),
  }))
}

/**
 * Covers a picture with tiles whose kept parts do not overlap and are at most `size` a side; each is
 * read with up to `border` more pixels around, as far as the picture goes. Sizes are evened out, so
 * that no sliver is left at the end.
 */
export function planTiles(
  width: number,
  height: number,
  size: number,
  border: number,
): readonly Tile[] {
  return parts(height, size).flatMap((row) =>
    parts(width, size).map((column) => {
      const left = Math.max(0, column.start - border)
      const top = Math.max(0, row.start - border)
      return {
        keep: {
          x: column.start,
          y: row.start,
          width: column.end - column.start,
          height: row.end - row.start,
        },
        read: {
          x: left,
          y: top,
          width: Math.min(width, column.end + border) - left,
          height: Math.min(height, row.end + border) - top,
        },
      }
    }),
  )
}

/** Copies `rect` out of a picture of `bytesPerPixel`, row by row. */
export function cut(
  picture: Uint8Array,
  pictureWidth: number,
  rect: Rect,
  bytesPerPixel: number,
): Uint8Array {
  const rowBytes = rect.width * bytesPerPixel
  const out = new Uint8Array(rowBytes * rect.height)
  for (let row = 0; row < rect.height; row += 1) {
    const from = ((rect.y + row) * pictureWidth + rect.x) * bytesPerPixel
    out.set(picture.subarray(from, from + rowBytes), row * rowBytes)
  }
  return out
}

/** Copies the part `from` of a source picture to (`x`, `y`) of a target picture. */
export function paste(
  source: { readonly pixels: Uint8Array; readonly width: number },
  from: Rect,
  target: { readonly pixels: Uint8Array; readonly width: number },
  to: { readonly x: number; readonly y: number },
  bytesPerPixel: number,
): void {
  const rowBytes = from.width * bytesPerPixel
  for (let row = 0; row < from.height; row += 1) {
    const start = ((from.y + row) * source.width + from.x) * bytesPerPixel
    const end = ((to.y + row) * target.width + to.x) * bytesPerPixel
    target.pixels.set(source.pixels.subarray(start, start + rowBytes), end)
  }
}
