/** A picture as planes of floats: `data` is [channels, height, width]. */
export interface Planes {
  readonly channels: number
  readonly width: number
  readonly height: number
  readonly data: Float32Array
}

/** RGB bytes, interleaved, to three planes of 0–1. */
export function planesOf(rgb: Uint8Array, width: number, height: number): Planes {
  const pixels = width * height
  const data = new Float32Array(3 * pixels)
  for (let i = 0; i < pixels; i += 1) {
    for (let c = 0; c < 3; c += 1) data[c * pixels + i] = (rgb[3 * i + c] ?? 0) / 255
  }
  return { channels: 3, width, height, data }
}

/** Bilinear without smoothing, pixel centres at halves (torch interpolate, align_corners=False). */
export function resizeBilinear(from: Planes, width: number, height: number): Planes {
  const xs = axis(from.width, width)
  const ys = axis(from.height, height)
  const data = new Float32Array(from.channels * width * height)
  let out = 0
  for (let c = 0; c < from.channels; c += 1) {
    const base = c * from.width * from.height
    for (const y of ys) {
      const [above, below] = [base + y.low * from.width, base + y.high * from.width]
      for (const x of xs) {
        const top = mix(from.data[above + x.low], from.data[above + x.high], x.share)
        const bottom = mix(from.data[below + x.low], from.data[below + x.high], x.share)
        data[out] = mix(top, bottom, y.share)
        out += 1
      }
    }
  }
  return { channels: from.channels, width, height, data }
}

const mix = (a = 0, b = 0, share = 0) => a + (b - a) * share

function axis(from: number, to: number): { low: number; high: number; share: number }[] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5)
    const low = Math.min(from - 1, Math.floor(at))
    return { low, high: Math.min(from - 1, low + 1), share: at - low }
  })
}

/** Scales the shorter side to `side`, the other in proportion and cut to a whole number (ShortSideScale). */
export function scaleShortSide(from: Planes, side: number): Planes {
  const { width, height } = from
  return width < height
    ? resizeBilinear(from, side, Math.floor((height / width) * side))
    : resizeBilinear(from, Math.floor((width / height) * side), side)
}

/** Squares at the start, the middle and the end of the longer side (SpatialCrop of ImageBind). */
export function threeCrops(from: Planes, side: number): Planes[] {
  const spare = { x: from.width - side, y: from.height - side }
  const middle = { x: Math.ceil(spare.x / 2), y: Math.ceil(spare.y / 2) }
  return [0, 1, 2].map((place) => {
    const tall = from.height > from.width
    const x = tall || place === 1 ? middle.x : place === 0 ? 0 : spare.x
    const y = !tall || place === 1 ? middle.y : place === 0 ? 0 : spare.y
    return cropAt(from, x, y, side)
  })
}

function cropAt(from: Planes, left: number, top: number, side: number): Planes {
  const data = new Float32Array(from.channels * side * side)
  for (let c = 0; c < from.channels; c += 1) {
    for (let y = 0; y < side; y += 1) {
      const at = (c * from.height + top + y) * from.width + left
      data.set(from.data.subarray(at, at + side), (c * side + y) * side)
    }
  }
  return { channels: from.channels, width: side, height: side, data }
}
