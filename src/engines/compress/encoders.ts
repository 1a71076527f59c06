import type { Codec } from '../types.js'
import type { CrfGrid } from './search.js'

/** How hard an encoder tries: `quick` for tight budgets, `thorough` for the fewest bytes. */
export const EFFORTS = ['quick', 'normal', 'thorough'] as const
export type Effort = (typeof EFFORTS)[number]

export interface EncodeSettings {
  readonly crf: number
  readonly effort: Effort
  /** x264: nothing is spent on what VMAF does not see. */
  readonly tuned?: boolean
  /** Average ceiling in kbit/s. */
  readonly capKbps?: number
  /** Threads the encoder may use; all when absent. */
  readonly threads?: number
  /** CUDA's number of the GPU to encode on; the driver's choice when absent. */
  readonly gpu?: number
}

/** One encoder of ffmpeg: its scale and its arguments. */
export interface Encoder {
  /** ffmpeg's name. */
  readonly name: string
  readonly codec: Codec
  readonly grid: CrfGrid
  /** Where a search without knowledge starts, for VMAF NEG 90. */
  readonly start: number
  /** Typical growth of ln(101 − quality) per CRF. */
  readonly slope: number
  readonly hardware: boolean
  /** Arguments after `-c:v name`. */
  args(settings: EncodeSettings): readonly string[]
}

const cap = (kbps: number | undefined) =>
  kbps === undefined ? [] : ['-maxrate', `${kbps}k`, '-bufsize', `${2 * kbps}k`]

const pick =
  (quick: string, normal: string, thorough: string) =>
  (effort: Effort): string =>
    ({ quick, normal, thorough })[effort]

const x264Preset = pick('veryfast', 'medium', 'veryslow')
const x265Preset = pick('veryfast', 'medium', 'slow')
const svtPreset = pick('10', '8', '5')
const vp9Speed = pick('5', '3', '1')
const nvencPreset = pick('p2', 'p5', 'p7')

/**
 * For VMAF instead of the eye: no grain kept for its own sake, fewer bits moved to flat areas. Colour as x264
 * has it otherwise: without psychovisual decisions it would get two steps of QP less.
 */
const X264_TUNING = ['psy=0', 'aq-strength=0.6', 'chroma-qp-offset=-2']

const threadsOf = (name: string, threads: number | undefined) =>
  threads === undefined ? [] : [`${name}=${threads}`]

const x264: Encoder = {
  name: 'libx264',
  codec: 'h264',
  grid: { min: 8, max: 48, step: 0.02 },
  start: 27,
  slope: 0.11,
  hardware: false,
  args: ({ crf, effort, tuned = false, capKbps, threads }) => [
    ...['-preset', x264Preset(effort), '-crf', `${crf}`],
    ...['-profile:v', 'high', ...cap(capKbps), '-x264-params'],
    // stitchable: pieces of different CRF share one picture parameter set and can be joined.
    ['stitchable=1', ...(tuned ? X264_TUNING : []), ...threadsOf('threads', threads)].join(':'),
  ],
}

const x265: Encoder = {
  name: 'libx265',
  codec: 'hevc',
  grid: { min: 8, max: 48, step: 0.02 },
  start: 28,
  slope: 0.11,
  hardware: false,
  args: ({ crf, effort, capKbps, threads }) => [
    ...['-preset', x265Preset(effort), '-crf', `${crf}`, '-profile:v', 'main', '-tag:v', 'hvc1'],
    ...[...cap(capKbps), '-x265-params'],
    ['log-level=error', 'open-gop=0', ...threadsOf('pools', threads)].join(':'),
  ],
}

const svtAv1: Encoder = {
  name: 'libsvtav1',
  codec: 'av1',
  grid: { min: 12, max: 63, step: 1 },
  start: 45,
  slope: 0.05,
  hardware: false,
  args: ({ crf, effort, capKbps, threads }) => [
    ...['-preset', svtPreset(effort), '-crf', `${crf}`],
    ...cap(capKbps),
    ...(threads === undefined ? [] : ['-svtav1-params', `lp=${threads}`]),
  ],
}

const vp9: Encoder = {
  name: 'libvpx-vp9',
  codec: 'vp9',
  grid: { min: 10, max: 63, step: 1 },
  start: 40,
  slope: 0.06,
  hardware: false,
  args: ({ crf, effort, capKbps, threads }) => [
    ...['-crf', `${crf}`, '-b:v', capKbps === undefined ? '0' : `${capKbps}k`],
    ...['-deadline', 'good', '-cpu-used', vp9Speed(effort), '-row-mt', '1'],
    ...['-auto-alt-ref', '1', '-lag-in-frames', '25', '-g', '240'],
    ...(threads === undefined ? [] : ['-threads', `${threads}`]),
  ],
}

function nvenc(codec: 'h264' | 'hevc' | 'av1', max: number, start: number, slope: number): Encoder {
  return {
    name: `${codec}_nvenc`,
    codec,
    grid: { min: 10, max, step: 1 },
    start,
    slope,
    hardware: true,
    args: ({ crf, effort, capKbps, gpu }) => [
      ...(gpu === undefined ? [] : ['-gpu', `${gpu}`]),
      ...['-preset', nvencPreset(effort), '-tune', 'hq', '-rc', 'vbr', '-cq', `${crf}`],
      ...['-b:v', '0', '-spatial-aq', '1', '-temporal-aq', '1'],
      ...(codec === 'hevc' ? ['-tag:v', 'hvc1'] : []),
      ...cap(capKbps),
    ],
  }
}

/** Every encoder we drive, the preferred one of each codec first. */
export const ENCODERS: readonly Encoder[] = [
  svtAv1,
  x265,
  x264,
  vp9,
  nvenc('av1', 63, 38, 0.06),
  nvenc('hevc', 51, 29, 0.1),
  nvenc('h264', 51, 28, 0.1),
]
