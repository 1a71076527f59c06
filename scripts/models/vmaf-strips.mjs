// The features of VMAF for the CPU: the same arithmetic as vmaf-graph.mjs, in another order of work.
//
// A 1080p picture in float is 8 MB; thirty operations over it are thirty trips to main memory. Here a loop
// takes strips of 32 rows, which stay in the cache, through all of them. Rows of a strip stand on the
// channel axis: a vertical filter is then a 1×1 convolution with a banded matrix, a horizontal one a
// depthwise convolution, and both run in ONNX Runtime's blocked layout at full vector width.
import { Graph } from './graph.mjs'
import { TYPE } from './onnx.mjs'
import {
  cube,
  frame,
  middleOf,
  OPSET,
  roundedRows,
  SENSITIVITY,
  SQUARE_STEPS,
  VIF_TAPS,
  WAVELET,
} from './vmaf-graph.mjs'

const LN2 = Math.LN2
/** Rows of a strip, and of its input: enough for the widest filter, and a multiple of the vector width. */
const ROWS = 32
const REACH = 16
const INPUT_ROWS = ROWS + REACH
/** Filter reach on every side of the pictures, so that one padding serves the scale and the next. */
const PAD = [8, 4, 2, 1]

/**
 * Rows to rows: [outRows, inRows] with `taps` from input row `first + step · r` on, for each of `filters`.
 */
function bandMatrix(filters, inRows, outRows, first, step) {
  return filters.flatMap((taps) =>
    Array.from({ length: outRows }, (_, row) => {
      const line = new Array(inRows).fill(0)
      for (const [i, tap] of taps.entries()) line[first + step * row + i] = tap
      return line
    }).flat(),
  )
}

/** Vertical pass over x [1, inRows, 1, W] → [1, filters · outRows, 1, W]. */
function vertical(g, x, filters, { outRows = ROWS, first = 0, step = 1, bias }) {
  const channels = filters.length * outRows
  const matrix = bandMatrix(filters, INPUT_ROWS, outRows, first, step)
  return g.conv(x, matrix, [channels, INPUT_ROWS, 1, 1], {
    bias:
      bias === undefined ? undefined : filters.flatMap((_, i) => new Array(outRows).fill(bias[i])),
  })
}

/** Horizontal pass over x [1, rows, 1, W], every row alone. */
function horizontal(g, x, taps, rows, { step = 1, bias } = {}) {
  const kernel = Array.from({ length: rows }, () => taps).flat()
  return g.conv(x, kernel, [rows, 1, 1, taps.length], {
    strides: [1, step],
    group: rows,
    bias: bias === undefined ? undefined : new Array(rows).fill(bias),
  })
}

const scaled = (taps, factor) => taps.map((tap) => tap * factor)
const scalarAt = (g, vector, index) =>
  g.op('Gather', [vector, g.constant('int64', index)], { axis: 0n })

/** Height and width of x [..., H, W] as int64 vectors of one element, and strips of `rows` that cover it. */
function sizeOf(g, x, rows) {
  const shape = g.op('Shape', [x])
  const height = g.slice(shape, [-2], [-1], [0])
  const width = g.slice(shape, [-1], [Number.MAX_SAFE_INTEGER], [0])
  const strips = g.div(g.add(height, g.long(rows - 1)), g.long(rows))
  return { height, width, strips }
}

/** Rows of a padded picture [1, H, 1, W] under strip `index`, as float. */
function strip(g, picture, index, scale) {
  const from = g.reshape(g.mul(index, g.constant('int64', ROWS)), g.long(1))
  const rows = g.slice(picture, from, g.add(from, g.long(INPUT_ROWS)), [1])
  const value = g.cast(rows, TYPE.float)
  return scale === 1 ? value : g.mul(value, g.float(scale))
}

/** Reflects the border of x [1, H, 1, W], edge not repeated; below, the last row fills whole strips. */
function padStrips(g, x, pad, { height, strips }) {
  const around = g.long(0, pad, 0, pad, 0, pad, 0, pad)
  const reflected = g.op('Pad', [x, around], { mode: 'reflect' })
  const wanted = g.add(g.mul(strips, g.long(ROWS)), g.long(REACH))
  const missing = g.sub(wanted, g.add(height, g.long(2 * pad)))
  const pads = g.concat(0, g.long(0, 0, 0, 0, 0), missing, g.long(0, 0))
  return g.op('Pad', [reflected, pads], { mode: 'edge' })
}

/** Which rows of strip `index` lie in the picture: bool [1, ROWS, 1, 1]. */
function insideRows(g, index, { height }) {
  const from = g.reshape(g.mul(index, g.constant('int64', ROWS)), g.long(1))
  const left = g.cast(g.sub(height, from), TYPE.float)
  const rows = Array.from({ length: ROWS }, (_, row) => row)
  return g.op('Less', [g.constant('float', rows, [1, ROWS, 1, 1]), left])
}

/** Product of rows eight at a time, so that one logarithm serves eight pixels; sum of those. */
function logSum(g, x) {
  let product = x
  for (let rows = ROWS; rows > ROWS / 8; rows /= 2) {
    const [a, b] = g.split(product, 1, rows / 2, rows / 2)
    product = g.mul(a, b)
  }
  return g.sum(g.log(product), [1, 2, 3])
}

/**
 * One scale of VIF for ref, dist [1, H, 1, W] (integers, or floats on the lattice of 1/256).
 * Gives both models' scores [1] and the next scale's pictures.
 *
 * libvmaf rounds the vertical pass of the means to 1/256, which moves the variance of bright pixels. A strip
 * counts from its own middle m, for float32 loses small variances of large numbers; what the rounding
 * takes of the mean (`lost`, in 1/256) then stands 2m times in the variance.
 */
function vifScale(g, ref, dist, scale, factor) {
  const pad = PAD[scale]
  const integers = VIF_TAPS[scale]
  const taps = scaled(integers, 1 / 65536)
  const whole = scale === 0 && factor === 1
  const size = sizeOf(g, g.op('Squeeze', [ref, g.long(2)]), ROWS)
  const padded = [ref, dist].map((picture) => padStrips(g, picture, pad, size))
  const next = VIF_TAPS[scale + 1]
  const ranks = next === undefined ? [1] : [1, 4, 4]
  const [sums, ...pictures] = g.loop(scalarAt(g, size.strips, 0), ranks, (b, index) => {
    const raw = strip(b, padded[0], index, factor)
    const middle = middleOf(b, raw, [0, 1, 2, 3])
    const [x, y] = [raw, strip(b, padded[1], index, factor)].map((value) => b.sub(value, middle))
    const across = (value) => horizontal(b, value, taps, ROWS)
    const mean = (value) => {
      const { rounded, lost } = roundedRows(b, value, whole, (part, factor, bias) =>
        vertical(b, part, [scaled(integers, factor)], { bias: [bias] }),
      )
      return { mean: horizontal(b, rounded, scaled(taps, 1 / 256), ROWS), lost: lost() }
    }
    const [{ mean: meanX, lost: lostX }, { mean: meanY, lost: lostY }] = [mean(x), mean(y)]
    const shift = b.mul(middle, b.float(1 / 256))
    const shift2 = b.mul(middle, b.float(2 / 256))
    const moment = (value, lost) => across(b.add(vertical(b, value, [taps], {}), lost))
    const varX = b.sub(moment(b.mul(x, x), b.mul(lostX, shift2)), b.mul(meanX, meanX))
    const varY = b.sub(moment(b.mul(y, y), b.mul(lostY, shift2)), b.mul(meanY, meanY))
    const lostXY = b.mul(b.add(lostX, lostY), shift)
    const covXY = b.sub(moment(b.mul(x, y), lostXY), b.mul(meanX, meanY))
    // The rounded mean can make a variance negative: nothing is explained there.
    const textured = b.op('Greater', [varY, b.float(0)])
    const covariance = b.where(textured, b.relu(covXY), b.float(0))

    // Rows past the end of the picture count as flat, and are left out where flat ones are summed.
    const inside = insideRows(b, index, size)
    const flat = b.op('Less', [varX, b.where(inside, b.float(2), b.float(3e38))])
    const variance = b.max(varX, b.float(2))
    const gain = b.div(covariance, variance)
    const explained = b.mul(gain, covariance)
    const noise = b.add(b.relu(b.sub(varY, explained)), b.float(2))
    // log(1 + signal/noise) = log(noise + signal) - log(noise); nothing where flat.
    const signal = b.where(flat, b.float(0), explained)
    const limited = b.min(signal, variance)
    const den = b.where(flat, b.float(4), b.add(variance, b.float(2)))
    // A flat pixel adds ln 2 - c·var to the numerator, here as -c·(var - ln 2/c).
    const flatRows = b.sum(b.where(flat, b.sub(varY, b.float(65025 / 4)), b.float(0)), [3], true)
    const flatSum = b.sum(b.where(inside, flatRows, b.float(0)), [1, 2, 3])
    const parts = [
      logSum(b, b.add(signal, noise)),
      logSum(b, b.add(limited, noise)),
      logSum(b, noise),
      logSum(b, den),
      flatSum,
    ]
    const row = b.concat(0, ...parts.map((part) => b.reshape(part, b.long(1))))
    if (next === undefined) return [row]
    const p = next.length >> 1
    const shrink = (value) => {
      const { rounded } = roundedRows(b, value, whole, (part, factor, bias) =>
        vertical(b, part, [scaled(next, factor)], {
          ...{ outRows: ROWS / 2, first: pad - p, step: 2 },
          bias: [bias],
        }),
      )
      // Counted in 256ths of what the rows are in.
      const rows = b.mul(rounded, b.float(1 / 256))
      const kernel = [...new Array(pad - p).fill(0), ...next]
      const both = roundedRows(b, rows, false, (part, factor, bias) =>
        horizontal(b, part, scaled(kernel, factor), ROWS / 2, { step: 2, bias }),
      )
      return b.add(both.rounded, b.mul(middle, b.float(256)))
    }
    return [row, shrink(x), shrink(y)]
  })
  const totals = g.sum(sums, [0])
  const total = (i) => g.slice(totals, [i], [i + 1], [0])
  // Each pixel of the strips, outside the picture too, put log 4 instead of ln 2 into the denominator.
  const area = g.cast(g.mul(g.mul(size.strips, g.long(ROWS)), size.width), TYPE.float)
  const den = g.sub(total(3), g.mul(area, g.float(LN2)))
  const outside = g.sub(area, g.cast(g.mul(size.height, size.width), TYPE.float))
  const inner = g.sub(den, g.mul(outside, g.float(LN2)))
  const flats = g.mul(total(4), g.float((-LN2 * 4) / 65025))
  const scores = [0, 1].map((i) => g.div(g.add(g.sub(total(i), total(2)), flats), inner))
  const half = (value) => g.div(value, g.long(2))
  const trimmed = pictures.map((picture) => {
    const rows = g.reshape(picture, g.concat(0, g.long(1, -1, 1), lastAxis(g, picture)))
    return g.slice(rows, g.long(0, 0), g.concat(0, half(size.height), half(size.width)), [1, 3])
  })
  return { scores, pictures: trimmed }
}

const lastAxis = (g, x) => g.slice(g.op('Shape', [x]), [-1], [Number.MAX_SAFE_INTEGER], [0])

function vif(g, ref, dist, factor) {
  let pictures = [ref, dist]
  return VIF_TAPS.map((_, scale) => {
    const result = vifScale(g, ...pictures, scale, scale === 0 ? factor : 1 / 256)
    pictures = result.pictures
    return result.scores
  })
}

/**
 * What the wavelet reads outside: index -1 is 1; n is n-1; n+1 is n-2. Below come rows of zeros until whole
 * strips fit. x [1, H, 1, W].
 */
function waveletBorder(g, x, { height, strips }) {
  const end = [Number.MAX_SAFE_INTEGER]
  const around = (y, axis, ...more) =>
    g.concat(
      axis,
      g.slice(y, [1], [2], [axis]),
      y,
      g.slice(y, [-1], end, [axis]),
      g.slice(y, [-2], [-1], [axis]),
      ...more,
    )
  const rows = g.sub(g.add(g.mul(strips, g.long(ROWS)), g.long(REACH)), g.add(height, g.long(3)))
  const pads = g.concat(0, g.long(0, 0, 0, 0, 0), rows, g.long(0, 0))
  return g.op('Pad', [around(around(x, 3), 1), pads], { mode: 'constant' })
}

/**
 * One wavelet level of x [1, H, 1, W]: bands a, v, h, d with their rows on the last but one axis, and rows
 * past the end below. `unit` is what a step of x is worth. Level 0 counts luma from 128 and is rounded
 * as libvmaf stores it: its bands are integers of 1/64.
 */
function wavelet(g, x, level, factor, unit) {
  const first = level === 0
  const { low, high } = WAVELET
  const size = sizeOf(g, g.op('Squeeze', [x, g.long(2)]), ROWS)
  const padded = waveletBorder(g, x, size)
  const half = ROWS / 2
  const offset = (taps) => 0.5 - (128 / 256) * taps.reduce((sum, tap) => sum + tap, 0)
  const bands = g.loop(scalarAt(g, size.strips, 0), [4, 4, 4, 4], (b, index) => {
    const rows = strip(b, padded, index, factor)
    const columns = vertical(
      b,
      rows,
      [low, high].map((taps) => scaled(taps, first ? 1 / 256 : unit / 32768)),
      { outRows: half, step: 2, bias: first ? [offset(low), offset(high)] : undefined },
    )
    const rounded = first ? b.floor(columns) : columns
    return [low, high].flatMap((taps) => {
      const kernel = scaled(taps, first ? 1 / 65536 : 1 / 32768)
      const out = horizontal(b, rounded, kernel, ROWS, { step: 2, bias: first ? 0.5 : undefined })
      return b.split(first ? b.floor(out) : out, 1, half, half)
    })
  })
  const height = g.div(g.add(size.height, g.long(1)), g.long(2))
  const width = g.div(g.add(size.width, g.long(1)), g.long(2))
  // Horizontally low: a and h; horizontally high: v and d.
  const [a, h, v, d] = bands.map((band) => g.reshape(band, g.concat(0, g.long(1, 1, -1), width)))
  return { a, v, h, d, height, width }
}

/** Σ over bands of (Σ cubes)^⅓ + (area/32)^⅓; gives [1]. */
function cubeNorm(g, planes, floorTerm) {
  const total = (plane) => g.reshape(g.sum(plane, [0, 1, 2, 3]), g.long(1))
  const sums = g.concat(0, ...planes.map(total))
  return g.sum(g.add(g.op('Pow', [sums, g.float(1 / 3)]), floorTerm), [0], true)
}

/** Sums of one ADM level. `unit` is what one step of the bands is worth. */
function admLevel(g, ref, dist, level, unit) {
  const size = g.concat(0, ref.height, ref.width)
  const share = g.mul(g.cast(size, TYPE.double), g.constant('double', 0.1))
  const from = g.cast(g.sub(share, g.constant('double', 0.5)), TYPE.int64)
  const to = g.sub(size, from)
  const area = g.cast(
    g.op('ReduceProd', [g.sub(to, from), g.long(0)], { keepdims: 0n }),
    TYPE.float,
  )
  const floorTerm = g.op('Pow', [g.mul(area, g.float(1 / 32)), g.float(1 / 3)])
  // Masking reads one pixel around the crop; where the crop starts at the border, one is made up.
  const atBorder = g.cast(g.op('Equal', [from, g.long(0)]), TYPE.int64)
  const margin = g.sub(g.long(1), atBorder)
  const outerFrom = g.sub(from, margin)
  const outerTo = g.add(to, margin)
  const innerTo = g.add(margin, g.sub(to, from))
  const around = (band) => g.slice(band, outerFrom, outerTo, [2, 3])
  const crop = (plane) => g.slice(plane, margin, innerTo, [2, 3])

  const o = { v: around(ref.v), h: around(ref.h), d: around(ref.d) }
  const t = { v: around(dist.v), h: around(dist.h), d: around(dist.d) }
  // Within one degree of each other. The cross product decides exactly where the cosine in float32 cannot.
  const cross = g.abs(g.sub(g.mul(o.v, t.h), g.mul(o.h, t.v)))
  const dot = g.add(g.mul(o.v, t.v), g.mul(o.h, t.h))
  const aligned = g.op('LessOrEqual', [cross, g.mul(dot, g.float(0.01745487))])
  const gain = g.where(aligned, g.float(100), g.float(1))

  const [edge, corner] = SENSITIVITY[level].map((weight) => weight * unit)
  const bands = [
    { o: o.v, t: t.v, weight: edge },
    { o: o.h, t: t.h, weight: edge },
    { o: o.d, t: t.d, weight: corner },
  ].map((band) => {
    // With the sign of the reference taken out, what is restored lies between 0 and the gain limit.
    const negative = g.op('Less', [band.o, g.float(0)])
    const signed = g.where(negative, g.float(-band.weight), g.float(band.weight))
    const change = g.mul(band.t, signed)
    return { ...band, bound: g.mul(band.o, signed), change, positive: g.relu(change) }
  })
  const [denSteps, numSteps] = SQUARE_STEPS[level] ?? []
  const den = cubeNorm(
    g,
    denSteps === undefined
      ? bands.map(({ bound }) => cube(g, crop(bound)))
      : bands.map(({ o: band, weight }) =>
          g.mul(cube(g, g.abs(crop(band)), denSteps, 1), g.float(weight ** 3)),
        ),
    floorTerm,
  )
  const padStart = g.concat(0, g.long(0, 0), atBorder, g.long(0, 0, 0, 0))
  const padEnd = g.concat(0, g.long(0, 0, 0, 0, 0, 0), atBorder)
  const nums = [100, 1].map((limit) => {
    const restored = bands.map(({ bound, positive }) =>
      g.min(positive, limit === 1 ? bound : g.mul(bound, gain)),
    )
    const [av, ah, ad] = bands.map(({ change }, i) => g.abs(g.sub(change, restored[i])))
    const added = g.add(g.add(av, ah), ad)
    const started = g.op('Pad', [added, padStart], { mode: 'reflect' })
    const bordered = g.op('Pad', [started, padEnd], { mode: 'edge' })
    const mask = Array.from({ length: 9 }, (_, i) => (i === 4 ? 1 / 15 : 1 / 30))
    const threshold = g.conv(bordered, mask, [1, 1, 3, 3])
    const visible = restored.map((plane) => g.relu(g.sub(crop(plane), threshold)))
    const cubes = visible.map((plane) => cube(g, plane, numSteps, 0.5))
    return cubeNorm(g, cubes, floorTerm)
  })
  return { nums, den }
}

function adm(g, ref, dist, factor) {
  let pictures = [ref, dist]
  const levels = SENSITIVITY.map((_, level) => {
    const own = level === 0 ? factor : 1
    const bands = pictures.map((picture) =>
      wavelet(g, picture, level, own, level === 1 ? 1 / 64 : 1),
    )
    pictures = bands.map(({ a, height }) => {
      const rows = g.slice(a, g.long(0), height, [2])
      const next = level === 0 ? g.sub(rows, middleOf(g, rows, [2, 3])) : rows
      return g.op('Transpose', [next], { perm: [0n, 2n, 1n, 3n] })
    })
    return admLevel(g, ...bands, level, level === 0 ? 1 / 64 : 1)
  })
  const den = g.op(
    'Sum',
    levels.map((level) => level.den),
  )
  return [0, 1].map((i) =>
    g.div(
      g.op(
        'Sum',
        levels.map((level) => level.nums[i]),
      ),
      den,
    ),
  )
}

/** [1, 1, H, W] → [1, H, 1, W], integers. ONNX Runtime's Pad takes 8 and 32 bits, not 16. */
function rowsOnChannels(g, name, depth) {
  const rows = g.op('Transpose', [name], { perm: [0n, 2n, 1n, 3n] })
  return depth === 8 ? rows : g.cast(rows, TYPE.int32)
}

/** As featuresModel, for one pair of frames at a time. */
export function stripFeaturesModel(depth) {
  const g = new Graph()
  const factor = 2 ** (8 - depth)
  const ref = rowsOnChannels(g, 'ref', depth)
  const dist = rowsOnChannels(g, 'dist', depth)
  const admScores = adm(g, ref, dist, factor)
  const vifScores = vif(g, ref, dist, factor)
  const values = [0, 1].flatMap((i) => [admScores[i], ...vifScores.map((scores) => scores[i])])
  const flat = g.concat(0, ...values.map((value) => g.reshape(value, g.long(1))))
  g.output(g.reshape(flat, g.long(1, 2, 5)), 'features')
  return {
    name: `vmaf_features_${depth}bit`,
    opset: OPSET,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [frame('ref', depth), frame('dist', depth)],
    outputs: [{ name: 'features', type: 'float', dims: [1, 2, 5] }],
  }
}

/** As motionModel, for one pair of frames at a time. */
export function stripMotionModel(depth) {
  const g = new Graph()
  const factor = 2 ** (8 - depth)
  const taps = scaled(VIF_TAPS[2], 1 / 65536)
  const pictures = ['prev', 'ref'].map((name) => rowsOnChannels(g, name, depth))
  const size = sizeOf(g, g.op('Squeeze', [pictures[0], g.long(2)]), ROWS)
  const [prev, ref] = pictures.map((picture) => padStrips(g, picture, 2, size))
  const [sums] = g.loop(scalarAt(g, size.strips, 0), [1], (b, index) => {
    const change = b.sub(strip(b, prev, index, factor), strip(b, ref, index, factor))
    const columns = b.floor(vertical(b, change, [scaled(taps, 256)], { bias: [0.5] }))
    const both = b.floor(horizontal(b, columns, taps, ROWS, { bias: 0.5 }))
    const inside = insideRows(b, index, size)
    const perRow = b.where(inside, b.sum(b.abs(both), [3], true), b.float(0))
    return [b.reshape(b.sum(perRow, [0, 1, 2, 3]), b.long(1))]
  })
  const area = g.cast(g.mul(size.height, size.width), TYPE.float)
  g.output(g.reshape(g.div(g.sum(sums, [0]), g.mul(area, g.float(256))), g.long(1)), 'sad')
  return {
    name: `vmaf_motion_${depth}bit`,
    opset: OPSET,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [frame('prev', depth), frame('ref', depth)],
    outputs: [{ name: 'sad', type: 'float', dims: [1] }],
  }
}
