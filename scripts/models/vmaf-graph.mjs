// VMAF v0.6.1 and v0.6.1-NEG as ONNX graphs: the features (ADM, VIF), the motion, the score (SVM).
// The arithmetic is libvmaf's integer version (github.com/Netflix/vmaf, libvmaf/src/feature/integer_*.c,
// BSD-2-Clause-Patent) on float tensors: where libvmaf rounds and the rounding shows in scores, so do we.
import { Graph } from './graph.mjs'
import { TYPE } from './onnx.mjs'

export const OPSET = 18
/** Gain limits of the two models: v0.6.1, then NEG. */
const LIMITS = [100, 1]
const LN2 = Math.LN2

/** VIF's filters per scale, in 1/65536 (integer_vif.h, vif_filter1d_table). */
export const VIF_TAPS = [
  [
    489, 935, 1640, 2640, 3896, 5274, 6547, 7455, 7784, 7455, 6547, 5274, 3896, 2640, 1640, 935,
    489,
  ],
  [1244, 3663, 7925, 12590, 14692, 12590, 7925, 3663, 1244],
  [3571, 16004, 26386, 16004, 3571],
  [10904, 43728, 10904],
]

/** db2 wavelet in 1/32768 (integer_adm.c, dwt2). */
export const WAVELET = {
  low: [15826, 27411, 7345, -4240],
  high: [-4240, -7345, 27411, -15826],
}

/** Contrast sensitivity per level: [bands v and h, band d] (Watson thresholds at 3 H, 1080 lines). */
export const SENSITIVITY = [
  [0.01738153, 0.00589069],
  [0.03198481, 0.01429907],
  [0.04337266, 0.02439691],
  [0.04567341, 0.03131274],
]

/**
 * Steps of the squares that libvmaf cubes with, per level: [denominator, on bands; numerator, on weighted
 * bands]. Levels 0 and 1 are fine enough not to show. The denominator's always end one step above.
 */
export const SQUARE_STEPS = [undefined, undefined, [256, 65536], [32, 16384]]

const tiled = (values, times) => Array.from({ length: times }, () => values).flat()

/** One-dimensional filter along an axis (2 or 3) of every channel alone, on padded input. */
function filter(g, x, channels, taps, axis, { stride = 1, scale = 1, bias } = {}) {
  const kernel = taps.map((tap) => (tap / 65536) * scale)
  const dims = axis === 2 ? [channels, 1, taps.length, 1] : [channels, 1, 1, taps.length]
  return g.conv(x, tiled(kernel, channels), dims, {
    strides: axis === 2 ? [stride, 1] : [1, stride],
    group: channels,
    bias: bias === undefined ? undefined : tiled([bias], channels),
  })
}

/**
 * One pass of a filter over x (below 256 on either side, `whole` or on a lattice of 1/256), rounded to 1/256 as
 * in integers: one rounding the other way shows in the variance of bright pixels, and float32 has 24 bits
 * for the 33 of the sums. `pass(part, factor, bias)` filters with taps times `factor`; whole and broken parts
 * each fit. Gives 256ths, and on demand what the rounding took.
 */
export function roundedRows(g, x, whole, pass) {
  const shrunk = (value) => g.mul(value, g.float(1 / 256))
  if (whole) {
    const sum = pass(x, 1 / 256, 0.5)
    const rounded = g.floor(sum)
    return { rounded, lost: () => g.sub(g.sub(sum, rounded), g.float(0.5)) }
  }
  const high = g.floor(x)
  const highSum = pass(high, 1, 0)
  const lowSum = pass(g.sub(x, high), 1, 128)
  const rounded = g.floor(shrunk(g.add(highSum, g.floor(lowSum))))
  const lost = () => {
    const left = g.add(g.sub(highSum, g.mul(rounded, g.float(256))), lowSum)
    return g.sub(shrunk(left), g.float(0.5))
  }
  return { rounded, lost }
}

/** Next picture of the pyramid: filtered, every second row and column, on a lattice of 1/256. */
function decimate(g, x, channels, taps, whole) {
  const p = taps.length >> 1
  const padded = g.reflect(x, p, p, p - 1, p - 1)
  const pass = (axis) => (part, factor, bias) =>
    filter(g, part, channels, taps, axis, { stride: 2, scale: factor * 65536, bias })
  const rows = roundedRows(g, padded, whole, pass(2)).rounded
  const both = roundedRows(g, g.mul(rows, g.float(1 / 256)), false, pass(3)).rounded
  return g.mul(both, g.float(1 / 256))
}

/**
 * Sums of one VIF scale for frames [N, 2, H, W] (reference, distorted): [numerators per limit, denominator].
 *
 * libvmaf rounds the vertical pass of the means to 1/256, which moves the variance of bright pixels. A frame
 * counts from its own `middle`, for float32 loses small variances of large numbers; what the rounding
 * takes of the mean (`lost`) then stands twice that often in the variance.
 */
function vifScale(g, centred, middle, taps, whole) {
  const p = taps.length >> 1
  const padded = g.reflect(centred, p, p, p, p)
  const [ref, dist] = g.split(padded, 1, 1, 1)
  const rows = roundedRows(g, padded, whole, (part, factor, bias) =>
    filter(g, part, 2, taps, 2, { scale: factor * 65536, bias }),
  )
  const means = filter(g, rows.rounded, 2, taps, 3, { scale: 1 / 256 })
  const lost = g.mul(rows.lost(), g.mul(middle, g.float(1 / 256)))
  const lostTogether = g.sum(lost, [1], true)
  const products = g.concat(1, g.mul(padded, padded), g.mul(ref, dist))
  const columns = filter(g, products, 3, taps, 2)
  const corrected = g.add(columns, g.concat(1, g.add(lost, lost), lostTogether))
  const moments = filter(g, corrected, 3, taps, 3)
  const [meanRef, meanDist] = g.split(means, 1, 1, 1)
  const [squares, cross] = g.split(moments, 1, 2, 1)
  const [varRef, varDist] = g.split(g.relu(g.sub(squares, g.mul(means, means))), 1, 1, 1)
  // The rounded mean can make the variance of a dark or flat area negative: it then explains nothing.
  const textured = g.op('Greater', [varDist, g.float(0)])
  const together = g.relu(g.sub(cross, g.mul(meanRef, meanDist)))
  const covariance = g.where(textured, together, g.float(0))

  const gain = g.div(covariance, g.add(varRef, g.float(1e-10)))
  const explained = g.mul(gain, covariance)
  const noise = g.add(g.relu(g.sub(varDist, explained)), g.float(2))
  const flat = g.op('Less', [varRef, g.float(2)])
  // Row by row: ONNX Runtime adds a picture up in one float32, which loses four digits.
  const total = (value) => g.sum(g.sum(value, [3]), [1, 2])
  // Natural logarithms throughout: the factor ln 2 stands in the branch of flat areas.
  const den = g.where(flat, g.float(LN2), g.log(g.add(g.mul(varRef, g.float(0.5)), g.float(1))))
  const flatNum = g.add(g.mul(varDist, g.float((-LN2 * 4) / 65025)), g.float(LN2))
  const nums = LIMITS.map((limit) => {
    const limited = g.min(gain, g.float(limit))
    const signal = limit === 100 ? explained : g.mul(g.mul(limited, limited), varRef)
    return g.where(flat, flatNum, g.log(g.add(g.div(signal, noise), g.float(1))))
  })
  return { nums: nums.map(total), den: total(den) }
}

/** vif_scale0..3 per limit, each [N]. */
function vif(g, x, depth) {
  const middle = middleOf(g, x, [1, 2, 3])
  let picture = g.sub(x, middle)
  return VIF_TAPS.map((taps, scale) => {
    if (scale > 0) picture = decimate(g, picture, 2, taps, depth === 8 && scale === 1)
    const { nums, den } = vifScale(g, picture, middle, taps, depth === 8 && scale === 0)
    return nums.map((num) => g.div(num, den))
  })
}

/** Adds what the 4-tap wavelet reads outside: index -1 is 1; n is n-1; n+1 is n-2. Any size, odd or even. */
function waveletBorder(g, x, axis) {
  const end = [Number.MAX_SAFE_INTEGER]
  return g.concat(
    axis,
    g.slice(x, [1], [2], [axis]),
    x,
    g.slice(x, [-1], end, [axis]),
    g.slice(x, [-2], [-1], [axis]),
  )
}

/** Level 0 for x [N, 2, H, W]: [N, 8, h, w], per picture a, v, h, d; rounded as libvmaf stores it. */
function waveletFirst(g, x) {
  const { low, high } = WAVELET
  const rows = [...low, ...high].map((tap) => tap / 256)
  const vertical = g.floor(
    g.conv(waveletBorder(g, x, 2), tiled(rows, 2), [4, 1, 4, 1], {
      strides: [2, 1],
      group: 2,
      bias: [0.5, 0.5, 0.5, 0.5],
    }),
  )
  const columns = [...low, ...high].map((tap) => tap / 65536)
  const both = g.floor(
    g.conv(waveletBorder(g, vertical, 3), tiled(columns, 4), [8, 1, 1, 4], {
      strides: [1, 2],
      group: 4,
      bias: tiled([0.5], 8),
    }),
  )
  return g.mul(both, g.float(1 / 64))
}

/** Levels 1–3 for x [N, 2, H, W]: one 4×4 filter per band. */
function waveletNext(g, x) {
  const low = WAVELET.low.map((tap) => tap / 32768)
  const high = WAVELET.high.map((tap) => tap / 32768)
  const outer = (a, b) => a.flatMap((row) => b.map((column) => row * column))
  const kernels = [outer(low, low), outer(low, high), outer(high, low), outer(high, high)].flat()
  const bordered = waveletBorder(g, waveletBorder(g, x, 2), 3)
  return g.conv(bordered, tiled(kernels, 2), [8, 1, 4, 4], { strides: [2, 2], group: 2 })
}

/** First and last row and column inside the border of 10 % that ADM leaves out, and their count. */
function cropOf(g, bands) {
  const size = g.slice(g.op('Shape', [bands]), [2], [4], [0])
  const share = g.mul(g.cast(size, TYPE.double), g.constant('double', 0.1))
  const from = g.cast(g.sub(share, g.constant('double', 0.5)), TYPE.int64)
  const to = g.sub(size, from)
  const count = g.op('ReduceProd', [g.sub(to, from), g.long(0)], { keepdims: 0n })
  return { from, to, area: g.cast(count, TYPE.float) }
}

/** |x|³ of x ≥ 0, its square on a lattice of 1/steps as libvmaf keeps it: the step `up` added before cutting. */
export function cube(g, x, steps, up) {
  const square = g.mul(x, x)
  if (steps === undefined) return g.mul(square, x)
  const kept = g.floor(g.add(g.mul(square, g.float(steps)), g.float(up)))
  return g.mul(g.mul(kept, g.float(1 / steps)), x)
}

/** Σ over bands of (Σ cubes)^⅓ + (area/32)^⅓ of cubes [N, 3, h, w]; gives [N]. */
function cubeNorm(g, x, floorTerm) {
  const cubes = g.sum(x, [2, 3])
  return g.sum(g.add(g.op('Pow', [cubes, g.float(1 / 3)]), floorTerm), [1])
}

/** Sums of one ADM level for bands [N, 8, h, w]. */
function admLevel(g, bands, level) {
  const [, refBands, , distBands] = g.split(bands, 1, 1, 3, 1, 3)
  const [edge, corner] = SENSITIVITY[level]
  const weights = g.constant('float', [edge, edge, corner], [1, 3, 1, 1])
  const { from, to, area } = cropOf(g, bands)
  const crop = (x) => g.slice(x, from, to, [2, 3])
  const floorTerm = g.op('Pow', [g.mul(area, g.float(1 / 32)), g.float(1 / 3)])

  const ref = g.mul(refBands, weights)
  const dist = g.mul(distBands, weights)
  const [denSteps, numSteps] = SQUARE_STEPS[level] ?? []
  const cubed = g.constant('float', [edge ** 3, edge ** 3, corner ** 3], [1, 3, 1, 1])
  const den = cubeNorm(g, g.mul(cube(g, g.abs(crop(refBands)), denSteps, 1), cubed), floorTerm)

  // Within one degree of each other. The cross product decides exactly where the cosine in float32 cannot.
  const [refV, refH] = g.split(refBands, 1, 1, 1, 1)
  const [distV, distH] = g.split(distBands, 1, 1, 1, 1)
  const cross = g.abs(g.sub(g.mul(refV, distH), g.mul(refH, distV)))
  const dot = g.add(g.mul(refV, distV), g.mul(refH, distH))
  const aligned = g.op('LessOrEqual', [cross, g.mul(dot, g.float(0.01745487))])

  const nums = LIMITS.map((limit) => {
    const bound = limit === 1 ? ref : g.mul(ref, g.where(aligned, g.float(limit), g.float(1)))
    const lower = g.min(bound, g.float(0))
    const upper = g.max(bound, g.float(0))
    const restored = g.min(g.max(dist, lower), upper)
    const added = g.abs(g.sub(dist, restored))
    // Masking: 1/15 of the centre and 1/30 of its neighbours, over all bands.
    const mask = Array.from({ length: 9 }, (_, i) => (i === 4 ? 1 / 15 : 1 / 30))
    const end = [Number.MAX_SAFE_INTEGER]
    const border = (x, axis) =>
      g.concat(axis, g.slice(x, [1], [2], [axis]), x, g.slice(x, [-1], end, [axis]))
    const threshold = g.conv(border(border(added, 2), 3), tiled(mask, 3), [1, 3, 3, 3])
    const visible = g.relu(g.sub(g.abs(crop(restored)), crop(threshold)))
    return cubeNorm(g, cube(g, visible, numSteps, 0.5), floorTerm)
  })
  return { nums, den }
}

/**
 * A whole number near the mean over axes. No band but the coarsest approximation sees a constant, and
 * without it float32 leaves flat areas flat.
 */
export const middleOf = (g, x, axes) =>
  g.floor(g.op('ReduceMean', [x, g.long(...axes)], { keepdims: 1n }))

/** adm2 per limit, each [N]; x is [N, 2, H, W], luma as stored. */
function adm(g, x) {
  let picture = g.sub(x, g.float(128))
  const levels = SENSITIVITY.map((_, level) => {
    const bands = level === 0 ? waveletFirst(g, picture) : waveletNext(g, picture)
    const [approxRef, , approxDist] = g.split(bands, 1, 1, 3, 1, 3)
    const next = g.concat(1, approxRef, approxDist)
    picture = level === 0 ? g.sub(next, middleOf(g, next, [2, 3])) : next
    return admLevel(g, bands, level)
  })
  const den = g.op(
    'Sum',
    levels.map((level) => level.den),
  )
  return LIMITS.map((_, i) =>
    g.div(
      g.op(
        'Sum',
        levels.map((level) => level.nums[i]),
      ),
      den,
    ),
  )
}

/** Luma of one depth as float of 0–255. */
function luma(g, name, depth) {
  const value = g.cast(name, TYPE.float)
  return depth === 8 ? value : g.mul(value, g.float(2 ** (8 - depth)))
}

export const frame = (name, depth) => ({
  name,
  type: depth === 8 ? 'uint8' : 'uint16',
  dims: ['N', 1, 'H', 'W'],
})

/**
 * ref, dist [N, 1, H, W] → features float [N, 2, 5]: for v0.6.1 and NEG, adm2 and vif_scale0..3.
 * Frames of a batch are independent.
 */
export function featuresModel(depth) {
  const g = new Graph()
  const pair = g.concat(1, luma(g, 'ref', depth), luma(g, 'dist', depth))
  const admScores = adm(g, pair)
  const vifScores = vif(g, pair, depth)
  const rows = LIMITS.map((_, i) => {
    const columns = [admScores[i], ...vifScores.map((scale) => scale[i])]
    return g.concat(2, ...columns.map((column) => g.reshape(column, g.long(-1, 1, 1))))
  })
  g.output(g.concat(1, ...rows), 'features')
  return {
    name: `vmaf_features_${depth}bit_batched`,
    opset: OPSET,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [frame('ref', depth), frame('dist', depth)],
    outputs: [{ name: 'features', type: 'float', dims: ['N', 2, 5] }],
  }
}

/** prev, ref [N, 1, H, W] → sad float [N]: mean absolute difference of the blurred references. */
export function motionModel(depth) {
  const g = new Graph()
  const taps = VIF_TAPS[2]
  const change = g.sub(luma(g, 'prev', depth), luma(g, 'ref', depth))
  const padded = g.reflect(change, 2, 2, 2, 2)
  const rows = g.floor(filter(g, padded, 1, taps, 2, { scale: 256, bias: 0.5 }))
  const both = g.floor(filter(g, rows, 1, taps, 3, { bias: 0.5 }))
  const mean = g.op('ReduceMean', [g.abs(both), g.long(1, 2, 3)], { keepdims: 0n })
  g.output(g.mul(mean, g.float(1 / 256)), 'sad')
  return {
    name: `vmaf_motion_${depth}bit_batched`,
    opset: OPSET,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [frame('prev', depth), frame('ref', depth)],
    outputs: [{ name: 'sad', type: 'float', dims: ['N'] }],
  }
}

/** features double [N, 6] (adm2, motion2, vif_scale0..3) → vmaf double [N], 0–100. */
export function scoreModel(json) {
  const { model, slopes, intercepts } = json.model_dict
  const lines = model.trim().split('\n')
  const start = lines.indexOf('SV')
  const head = new Map(lines.slice(0, start).map((line) => line.split(' ', 2)))
  const vectors = lines.slice(start + 1).map((line) => {
    const [alpha, ...pairs] = line.trim().split(/\s+/)
    const x = [0, 0, 0, 0, 0, 0]
    for (const pair of pairs) {
      const [index, value] = pair.split(':')
      x[Number(index) - 1] = Number(value)
    }
    return { alpha: Number(alpha), x }
  })
  const g = new Graph()
  const double = (values, dims) => g.constant('double', values, dims)
  const scaled = g.add(g.mul('features', double(slopes.slice(1))), double(intercepts.slice(1)))
  const spread = g.op('Unsqueeze', [scaled, g.long(1)])
  const all = vectors.flatMap((vector) => vector.x)
  const apart = g.sub(spread, double(all, [1, vectors.length, 6]))
  const distance = g.sum(g.mul(apart, apart), [2])
  const kernel = g.op('Exp', [g.mul(distance, double(-Number(head.get('gamma'))))])
  const alphas = double(
    vectors.map((vector) => vector.alpha),
    [vectors.length, 1],
  )
  const raw = g.sub(g.op('MatMul', [kernel, alphas]), double(Number(head.get('rho'))))
  const unscaled = g.div(g.sub(raw, double(intercepts[0])), double(slopes[0]))
  const clipped = g.min(g.max(unscaled, double(0)), double(100))
  g.output(g.reshape(clipped, g.long(-1)), 'vmaf')
  return {
    name: 'vmaf_score',
    opset: OPSET,
    nodes: g.nodes,
    initializers: g.initializers,
    inputs: [{ name: 'features', type: 'double', dims: ['N', 6] }],
    outputs: [{ name: 'vmaf', type: 'double', dims: ['N'] }],
  }
}
