// Trains models/crf/start.json: which CRF to try first, from what a clip is like.
//
//   node scripts/models/crf.mjs measure --clips FOLDER [--ffmpeg PATH]   encodes and measures (an hour)
//   node scripts/models/crf.mjs fit                                      fits and checks (a second)
//
// `measure` encodes pieces of every video in FOLDER, and of ffmpeg's own generators, at five CRFs per
// encoder, and writes models/crf/curves.json: features of each piece and its VMAF NEG over CRF. It
// needs an ffmpeg with libvmaf. `fit` is a ridge regression; it prints how far the predictions are off and
// how many probes a search needs, on sources that the model has not seen, beside a fixed start.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { analyse } from '../../dist/engines/compress/analyse.js'
import { ENCODERS } from '../../dist/engines/compress/encoders.js'
import { LibvmafMeter } from '../../dist/engines/compress/libvmaf-meter.js'
import { pool } from '../../dist/engines/compress/meter.js'
import { featuresOf, slopeTerms, terms } from '../../dist/engines/compress/predict.js'
import { nextStep } from '../../dist/engines/compress/search.js'
import { encode } from '../../dist/engines/compress/source.js'
import { probeVideo } from '../../dist/media/index.js'
import { writeModel } from './manifest.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clips: { type: 'string' }, ffmpeg: { type: 'string', default: 'ffmpeg' } },
})
const CURVES = fileURLToPath(new URL('../../models/crf/curves.json', import.meta.url))
const FRAMES = 24
const CRFS = {
  libx264: [18, 24, 29, 34, 40],
  libx265: [18, 24, 29, 34, 40],
  libsvtav1: [24, 34, 43, 51, 59],
  'libvpx-vp9': [18, 29, 38, 47, 57],
}
const FILTERS = [
  'scale=-2:min(360\\,ih)',
  'scale=-2:240',
  'crop=min(iw\\,480):min(ih\\,270)',
  'scale=-2:min(360\\,ih),noise=alls=5:allf=t',
  'scale=-2:min(360\\,ih),gblur=sigma=0.8',
]
const GENERATORS = [
  'mandelbrot=size=480x270:rate=25',
  'testsrc2=size=480x270:rate=25',
  'life=size=240x136:rate=25:mold=10:ratio=0.2:seed=1,scale=480:272',
]

/** Pieces to learn from: `{ source, input: ffmpeg arguments, filter }`. */
function pieces(folder) {
  const out = []
  for (const name of readdirSync(folder)
    .filter((file) => /\.(mp4|mkv|webm)$/.test(file))
    .sort()) {
    const path = join(folder, name)
    const probe = ['-v', 'error', '-count_packets', '-select_streams', 'v:0']
    const show = ['-show_entries', 'stream=nb_read_packets,avg_frame_rate', '-of', 'csv=p=0']
    const [rate, count] = execFileSync('ffprobe', [...probe, ...show, path])
      .toString()
      .trim()
      .split(',')
    const [num, den] = rate.split('/').map(Number)
    for (let start = 0; start + FRAMES <= Number(count); start += 2 * FRAMES) {
      const input = ['-ss', `${(start * den) / num}`, '-i', path]
      for (const k of [0, 1]) {
        const filter = FILTERS[(out.length + 2 * k) % FILTERS.length]
        out.push({ source: basename(name).split('.')[0], start, input, filter })
      }
    }
  }
  for (const generator of GENERATORS) {
    const source = generator.split('=')[0]
    out.push({ source, start: 0, input: ['-f', 'lavfi', '-i', generator], filter: FILTERS[0] })
  }
  return out
}

async function measure(folder) {
  const tools = { ffmpegPath: values.ffmpeg, sandbox: 'off' }
  const signal = new AbortController().signal
  const meter = new LibvmafMeter(tools)
  const work = mkdtempSync(join(tmpdir(), 'crf-'))
  const curves = existsSync(CURVES) ? JSON.parse(readFileSync(CURVES, 'utf8')) : []
  const all = pieces(folder)
  for (const [index, { source, start, input, filter }] of all.entries()) {
    const id = `${source}@${start} ${filter}`
    const path = join(work, 'piece.mkv')
    const lossless = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-pix_fmt', 'yuv420p']
    const even = 'crop=trunc(iw/2)*2:trunc(ih/2)*2'
    execFileSync('ffmpeg', [
      ...['-v', 'error', '-y', ...input, '-an', '-vf', `${filter},${even}`],
      ...['-frames:v', `${FRAMES}`, ...lossless, path],
    ])
    const { video } = await probeVideo(path)
    const { facts } = await analyse(path, video, { signal })
    const { fineness, liveliness } = featuresOf(facts)
    for (const encoder of ENCODERS.filter(({ name }) => name in CRFS)) {
      const efforts = index % 6 === 0 ? ['normal', 'quick', 'thorough'] : ['normal']
      for (const effort of efforts) {
        if (curves.some((c) => c.id === id && c.encoder === encoder.name && c.effort === effort)) {
          continue
        }
        const grid = CRFS[encoder.name]
        const points = []
        for (const crf of effort === 'normal' ? grid : grid.slice(1, 4)) {
          const output = join(work, 'encoded.mp4')
          const settings = { crf, effort }
          const sizeBytes = await encode(
            { path, frames: facts.length, video },
            output,
            encoder,
            settings,
            { ...tools, signal },
          )
          const { neg } = await meter.measure(path, output, { every: 1, models: ['neg'], signal })
          points.push([crf, Number(pool(neg, 'harmonic').toFixed(3)), sizeBytes])
        }
        const features = { fineness: round(fineness), liveliness: round(liveliness) }
        curves.push({ id, source, encoder: encoder.name, effort, features, points })
        writeFileSync(CURVES, `[\n${curves.map((c) => JSON.stringify(c)).join(',\n')}\n]\n`)
      }
    }
    process.stdout.write(`${index + 1} of ${all.length}: ${id}\n`)
  }
  rmSync(work, { recursive: true })
}

const round = (value) => Number(value.toFixed(5))
const bend = (quality) => Math.log(101 - quality)

/** Quality at a CRF on a measured curve: linear in ln(101 − quality) between its points. */
function qualityOn(points, crf) {
  let i = points.findIndex((point) => point[0] >= crf)
  if (i <= 0) i = i === 0 ? 1 : points.length - 1
  const [[a, qa], [b, qb]] = [points[i - 1], points[i]]
  return 101 - Math.exp(bend(qa) + ((bend(qb) - bend(qa)) * (crf - a)) / (b - a))
}

/** The CRF that gives a quality, or undefined outside the measured ones. */
function crfFor(points, target) {
  for (let i = 1; i < points.length; i += 1) {
    const [[a, qa], [b, qb]] = [points[i - 1], points[i]]
    if (qa >= target && qb < target) {
      return a + ((b - a) * (bend(target) - bend(qa))) / (bend(qb) - bend(qa))
    }
  }
  return undefined
}

const LAMBDAS = [0.01, 0.03, 0.1, 0.3, 1, 10, 1000]
const TARGETS = [75, 80, 85, 88, 90, 93, 95]

function samplesOf(curves) {
  return curves.flatMap(({ features, points, source }) =>
    TARGETS.flatMap((target) => {
      const crf = crfFor(points, target)
      return crf === undefined
        ? []
        : [{ x: terms(features, target), y: crf, source, target, points, features }]
    }),
  )
}

/**
 * Ridge regression by Gaussian elimination on the normal equations. Only what describes the clip is
 * shrunk: the constant and the terms of the target are known from every curve.
 */
function ridge(samples, lambda) {
  const size = samples[0].x.length
  const rows = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size + 1 }, (_, j) =>
      samples.reduce((sum, { x, y }) => sum + x[i] * (j === size ? y : x[j]), 0),
    ),
  )
  for (let i = 3; i < size; i += 1) rows[i][i] += lambda * samples.length
  for (let i = 0; i < size; i += 1) {
    let best = i
    for (let r = i; r < size; r += 1) if (Math.abs(rows[r][i]) > Math.abs(rows[best][i])) best = r
    ;[rows[i], rows[best]] = [rows[best], rows[i]]
    for (let r = 0; r < size; r += 1) {
      if (r === i) continue
      const factor = rows[r][i] / rows[i][i]
      for (let c = i; c <= size; c += 1) rows[r][c] -= factor * rows[i][c]
    }
  }
  return rows.map((row, i) => row[size] / row[i])
}

/** Predictions for every sample by a model that has seen nothing of the sample's source. */
function unseen(samples, lambda) {
  const weights = new Map()
  for (const source of new Set(samples.map((sample) => sample.source))) {
    weights.set(
      source,
      ridge(
        samples.filter((sample) => sample.source !== source),
        lambda,
      ),
    )
  }
  return samples.map(({ x, source }) => predict(weights.get(source), x))
}

const predict = (weights, x) => x.reduce((sum, value, i) => sum + value * weights[i], 0)
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1]
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length

function slopeOf(points) {
  return mean(
    points.slice(1).map(([b, qb], i) => (bend(qb) - bend(points[i][1])) / (b - points[i][0])),
  )
}

/** How steep a curve falls between points near each of the targets and the target. */
function slopeSamplesOf(curves, { grid }) {
  const reach = (grid.max - grid.min) / 16
  return curves.flatMap(({ features, points, source }) =>
    TARGETS.flatMap((target) => {
      const crf = crfFor(points, target)
      if (crf === undefined) return []
      return [-1, -0.5, 0.5, 1].flatMap((share) => {
        const near = crf + share * reach
        const quality = qualityOn(points, near)
        const slope = (bend(quality) - bend(target)) / (near - crf)
        if (quality < 50 || slope <= 0) return []
        return [
          { x: slopeTerms(features, { crf: near, quality }, target), y: Math.log(slope), source },
        ]
      })
    }),
  )
}

/** Probes that a search needs on a measured curve. */
function probes(points, goal) {
  const known = []
  for (;;) {
    const step = nextStep(known, goal)
    if (step.next === 'stop') return known.length
    known.push({ crf: step.crf, quality: qualityOn(points, step.crf) })
  }
}

function fit() {
  const curves = JSON.parse(readFileSync(CURVES, 'utf8'))
  const model = { encoders: {} }
  for (const encoder of ENCODERS.filter(({ name }) => name in CRFS)) {
    const own = curves.filter((curve) => curve.encoder === encoder.name)
    const normal = own.filter(({ effort }) => effort === 'normal')
    const samples = samplesOf(normal)
    const slope = median(normal.map(({ points }) => slopeOf(points)).filter((s) => s > 0))
    const slopeSamples = slopeSamplesOf(normal, encoder)
    const best = (list) => {
      const off = (lambda) =>
        mean(unseen(list, lambda).map((guess, i) => Math.abs(guess - list[i].y)))
      const [lambda] = [...LAMBDAS].sort((a, b) => off(a) - off(b))
      return { lambda, off: off(lambda) }
    }
    const { lambda, off } = best(samples)
    const steep = best(slopeSamples)
    const slopeWeights = ridge(slopeSamples, steep.lambda)
    const counts = { fixed: [], predicted: [] }
    for (const [i, start] of unseen(samples, lambda).entries()) {
      const { target, points, features } = samples[i]
      const goal = { ...encoder.grid, target, tolerance: 0.3, usual: 4 }
      const fitted = (point) => Math.exp(predict(slopeWeights, slopeTerms(features, point, target)))
      counts.predicted.push(probes(points, { ...goal, start, slope: fitted }))
      const fixed = { start: encoder.start, slope: () => encoder.slope }
      counts.fixed.push(probes(points, { ...goal, ...fixed }))
    }
    const shift = (effort) => {
      const shifts = own
        .filter((curve) => curve.effort === effort)
        .flatMap(({ id, points }) => {
          const base = normal.find((curve) => curve.id === id)
          return points.flatMap(([crf, quality]) => {
            const same = base === undefined ? undefined : crfFor(base.points, quality)
            return same === undefined ? [] : [crf - same]
          })
        })
      return shifts.length === 0 ? 0 : round(median(shifts))
    }
    model.encoders[encoder.name] = {
      weights: ridge(samples, lambda).map(round),
      slopeWeights: slopeWeights.map(round),
      slope: round(slope),
      efforts: { quick: shift('quick'), normal: 0, thorough: shift('thorough') },
    }
    process.stdout.write(
      `${encoder.name}: ${samples.length} samples; unseen sources: CRF off by ${off.toFixed(2)} ` +
        `(shrunk by ${lambda}), slope by a factor of ${Math.exp(steep.off).toFixed(2)}; probes ${mean(counts.predicted).toFixed(2)}, ` +
        `from a fixed start ${mean(counts.fixed).toFixed(2)}\n`,
    )
  }
  const source = 'scripts/models/crf.mjs fit, on models/crf/curves.json'
  const data = Buffer.from(`${JSON.stringify(model, null, 2)}\n`)
  writeModel({ name: 'crf_start', file: 'crf/start.json', licence: 'MIT', source }, data)
}

const [verb] = positionals
if (verb === 'measure' && values.clips !== undefined) await measure(values.clips)
else if (verb === 'fit') fit()
else {
  process.stderr.write('usage: crf.mjs measure --clips FOLDER [--ffmpeg PATH] | crf.mjs fit\n')
  process.exit(2)
}
