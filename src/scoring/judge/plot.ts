import sharp, { type OverlayOptions } from 'sharp'
import { FrameReader, type MediaTools } from '../../media/index.js'
import type { MetricSeries } from '../types.js'

const WIDTH = 1200
const CHART = { left: 64, top: 70, right: WIDTH - 24, bottom: 400 }
const THUMB_WIDTH = 560
const VMAF_COLOUR = '#1f77b4'
const NEG_COLOUR = '#d62728'

export interface PlotInput {
  readonly reference: string
  readonly result: string
  readonly title: string
  readonly vmaf: MetricSeries
  readonly vmafNeg: MetricSeries
  readonly threshold: number | undefined
  /** The record's `every`: frame i of the series is frame i·every of the clip. */
  readonly every: number
}

/**
 * Draws VMAF and VMAF NEG of every frame, and the three worst moments with reference and result
 * side by side, as a PNG.
 */
export async function drawPlot(
  input: PlotInput,
  options: MediaTools & { readonly signal?: AbortSignal },
): Promise<Buffer> {
  const worst = worstFrames(input.vmafNeg.frames, 3)
  const at = worst.map((index) => index * input.every)
  const [left, right] = await Promise.all([
    thumbnails(input.reference, at, options),
    thumbnails(input.result, at, options),
  ])
  const thumbHeight = left[0]?.height ?? 0
  const row = thumbHeight + 34
  const height = CHART.bottom + 60 + worst.length * row + 10
  const labels = worst.map(
    (index, i) =>
      `<text x="${CHART.left}" y="${rowTop(i, row) - 8}">Frame ${index * input.every}: VMAF NEG ${
        input.vmafNeg.frames[index]?.toFixed(2) ?? ''
      } — reference left, result right</text>`,
  )
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="15" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>${chart(input)}${labels.join('')}</svg>`
  const overlays = worst.flatMap((_, i) => {
    const top = rowTop(i, row)
    return [
      ...pictureAt(left[i], CHART.left - 40, top),
      ...pictureAt(right[i], CHART.left - 40 + THUMB_WIDTH + 16, top),
    ]
  })
  return sharp(Buffer.from(svg)).composite(overlays).png().toBuffer()
}

const rowTop = (index: number, row: number): number => CHART.bottom + 60 + index * row + 24

/** Indices of the lowest values, at least five frames apart so that three moments are shown. */
export function worstFrames(values: readonly number[], count: number): readonly number[] {
  const order = [...values.keys()].sort((a, b) => (values[a] ?? 0) - (values[b] ?? 0))
  const chosen: number[] = []
  for (const index of order) {
    if (chosen.length === count) break
    if (chosen.every((other) => Math.abs(other - index) >= 5)) chosen.push(index)
  }
  return chosen
}

function chart({ title, vmaf, vmafNeg, threshold, every }: PlotInput): string {
  const all = [...vmaf.frames, ...vmafNeg.frames, ...(threshold === undefined ? [] : [threshold])]
  const low = Math.max(0, Math.floor((Math.min(...all) - 2) / 10) * 10)
  const x = (i: number): number =>
    CHART.left + (i * (CHART.right - CHART.left)) / Math.max(1, vmaf.frames.length - 1)
  const y = (value: number): number =>
    CHART.bottom - ((value - low) * (CHART.bottom - CHART.top)) / (100 - low)
  const line = (series: MetricSeries, colour: string): string => {
    const points = series.frames.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`)
    return `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.join(' ')}"/>`
  }
  const grid: string[] = []
  for (let value = low; value <= 100; value += 10) {
    grid.push(
      `<line x1="${CHART.left}" x2="${CHART.right}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`,
      `<text x="${CHART.left - 10}" y="${y(value) + 5}" text-anchor="end">${value}</text>`,
    )
  }
  const asked =
    threshold === undefined
      ? ''
      : `<line x1="${CHART.left}" x2="${CHART.right}" y1="${y(threshold)}" y2="${y(threshold)}" stroke="#2ca02c" stroke-width="2" stroke-dasharray="8 5"/><text x="${CHART.right}" y="${y(threshold) - 5}" text-anchor="end" fill="#2ca02c" stroke="white" stroke-width="5" paint-order="stroke">threshold ${threshold}</text>`
  const legend = (text: string, series: MetricSeries, colour: string, left: number): string =>
    `<text x="${left}" y="56" fill="${colour}">${text}: harmonic mean ${series.harmonicMean.toFixed(2)}, min ${series.min.toFixed(2)}</text>`
  return [
    `<text x="${CHART.left}" y="30" font-size="19">${escapeXml(title)}</text>`,
    legend('VMAF', vmaf, VMAF_COLOUR, CHART.left),
    legend('VMAF NEG', vmafNeg, NEG_COLOUR, CHART.left + 420),
    ...grid,
    asked,
    line(vmaf, VMAF_COLOUR),
    line(vmafNeg, NEG_COLOUR),
    `<text x="${(CHART.left + CHART.right) / 2}" y="${CHART.bottom + 26}" text-anchor="middle">frame (0–${(vmaf.frames.length - 1) * every})</text>`,
  ].join('')
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}

interface Picture {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
}

/** The frames at the given places, small. */
async function thumbnails(
  path: string,
  indices: readonly number[],
  options: MediaTools & { readonly signal?: AbortSignal },
): Promise<readonly (Picture | undefined)[]> {
  const probe = await FrameReader.open(path, { ...options, pixelFormat: 'rgb24', maxFrames: 1 })
  const { width: fullWidth, height: fullHeight } = probe
  await probe.close()
  const width = THUMB_WIDTH
  const height = Math.max(2, Math.round((THUMB_WIDTH * fullHeight) / fullWidth))
  await using reader = await FrameReader.open(path, {
    ...options,
    pixelFormat: 'rgb24',
    width,
    height,
  })
  const found = new Map<number, Picture>()
  for (let index = 0; found.size < indices.length; index += 1) {
    if (!indices.includes(index)) {
      if (await reader.skip()) continue
      break
    }
    const data = new Uint8Array(reader.frameBytes)
    if (!(await reader.readInto(data))) break
    found.set(index, { data, width, height })
  }
  return indices.map((index) => found.get(index))
}

function pictureAt(picture: Picture | undefined, left: number, top: number): OverlayOptions[] {
  if (picture === undefined) return []
  const { data, width, height } = picture
  return [{ input: Buffer.from(data), raw: { width, height, channels: 3 }, left, top }]
}
