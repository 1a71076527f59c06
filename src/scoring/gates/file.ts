import type { MediaInfo, VideoStreamInfo } from '../../media/types.js'
import { COMPRESSION } from '../formulas/compression.js'
import { bitrateGate, UPSCALE_SIZE_LIMIT } from '../formulas/evidence.js'
import type { GateOutcome } from '../types.js'
import { failed, gate, passed } from './codes.js'

export type CodecFamily = 'av1' | 'hevc' | 'h264' | 'vp9'

/** What the task asked of the file. */
export interface FileExpectation {
  readonly codecs: readonly CodecFamily[]
  readonly width: number
  readonly height: number
  /** Compression: smaller than its input. Upscaling: at most a multiple of its input. */
  readonly size:
    | { readonly kind: 'smaller'; readonly inputBytes: number }
    | { readonly kind: 'multiple'; readonly inputBytes: number; readonly scale: 2 | 4 }
  readonly bitrate?:
    | { readonly mode: 'CRF' | 'VBR' | 'CBR'; readonly targetMbps: number }
    | undefined
}

const PROFILES: Readonly<Record<CodecFamily, readonly string[]>> = {
  av1: ['Main'],
  hevc: ['Main', 'Main 10'],
  h264: ['Baseline', 'Constrained Baseline', 'Main', 'High'],
  vp9: ['Profile 0'],
}

/** Transfers of ordinary video; a file without a tag is one of these. */
const SDR_TRANSFERS = ['bt709', 'smpte170m', 'bt470m', 'bt470bg', 'gamma22', 'iec61966-2-1']
const SDR_PRIMARIES = ['bt709', 'smpte170m', 'bt470m', 'bt470bg', 'smpte240m']
const SDR_SPACES = ['bt709', 'smpte170m', 'bt470bg', 'fcc', 'smpte240m']

/** The gates that only need what the container says. Pure. */
export function fileGates(
  reference: MediaInfo & { readonly video: VideoStreamInfo },
  result: MediaInfo,
  expect: FileExpectation,
): readonly GateOutcome[] {
  const { video } = result
  if (video === undefined) return [failed('readable', 'the file has no video stream')]
  const ref = reference.video
  return [
    passed('readable', `${video.codec} in ${result.container}`),
    containerGate(result),
    codecGate(video, expect),
    profileGate(video),
    pixelFormatGate(ref, video),
    gate(
      'pixel-aspect',
      video.sampleAspectRatio === '1:1' || video.sampleAspectRatio === ref.sampleAspectRatio,
      `sample aspect ratio ${video.sampleAspectRatio}, reference ${ref.sampleAspectRatio}`,
    ),
    gate(
      'rotation',
      video.rotation === ref.rotation,
      `rotation ${video.rotation}°, reference ${ref.rotation}°`,
    ),
    gate(
      'dimensions',
      video.width === expect.width && video.height === expect.height,
      `${video.width}x${video.height}, expected ${expect.width}x${expect.height}`,
    ),
    frameRateGate(ref, video),
    durationGate(reference, result),
    colourGate(ref, video),
    sizeGate(result, expect),
    ...rateGate(result, video, expect),
  ]
}

function containerGate({ container, majorBrand = '' }: MediaInfo): GateOutcome {
  // ffprobe calls QuickTime and 3GP by the same list of names as MP4.
  const isMp4 = container.split(',').includes('mp4') && !/^(qt$|3g)/.test(majorBrand)
  const seen = majorBrand === '' ? container : `of brand ${majorBrand}`
  return gate('container', isMp4, isMp4 ? 'MP4' : `container ${seen}`)
}

function codecGate(video: VideoStreamInfo, expect: FileExpectation): GateOutcome {
  const ok = expect.codecs.some((codec) => codec === video.codec)
  return gate('codec', ok, `codec ${video.codec}, expected ${expect.codecs.join(' or ')}`)
}

function profileGate(video: VideoStreamInfo): GateOutcome {
  const known = Object.hasOwn(PROFILES, video.codec)
    ? PROFILES[video.codec as CodecFamily]
    : undefined
  // A decoder that reports no profile leaves nothing to judge.
  const ok = video.profile === undefined || known === undefined || known.includes(video.profile)
  return gate('profile', ok, `profile ${video.profile ?? 'not stated'}`)
}

function pixelFormatGate(ref: VideoStreamInfo, video: VideoStreamInfo): GateOutcome {
  const allowed = new Set(['yuv420p'])
  if (/^yuvj?420p/.test(ref.pixelFormat)) allowed.add(ref.pixelFormat)
  return gate(
    'pixel-format',
    allowed.has(video.pixelFormat),
    `pixel format ${video.pixelFormat}, expected ${[...allowed].join(' or ')}`,
  )
}

const fpsOf = (video: VideoStreamInfo): number =>
  video.fps.den > 0 ? video.fps.num / video.fps.den : 0

function frameRateGate(ref: VideoStreamInfo, video: VideoStreamInfo): GateOutcome {
  const [want, have] = [fpsOf(ref), fpsOf(video)]
  return gate(
    'frame-rate',
    Math.abs(want - have) <= 0.3,
    `${have.toFixed(3)} frames per second, reference ${want.toFixed(3)}`,
  )
}

function durationGate(
  reference: MediaInfo & { readonly video: VideoStreamInfo },
  result: MediaInfo,
): GateOutcome {
  const fps = fpsOf(reference.video)
  const tolerance = 0.1 + (fps > 0 ? 2 / fps : 0)
  const difference = Math.abs(result.durationSeconds - reference.durationSeconds)
  return gate(
    'duration',
    difference <= tolerance,
    `${result.durationSeconds.toFixed(3)} s, reference ${reference.durationSeconds.toFixed(3)} s`,
  )
}

function colourGate(ref: VideoStreamInfo, video: VideoStreamInfo): GateOutcome {
  const problems: string[] = []
  const check = (
    what: string,
    want: string | undefined,
    have: string | undefined,
    ordinary: readonly string[],
  ): void => {
    if (have === want) return
    // A tag may be left out or added only where both mean ordinary video.
    const harmless = (tag: string | undefined): boolean =>
      tag === undefined || ordinary.includes(tag)
    const bothSet = want !== undefined && have !== undefined
    if (bothSet || !harmless(want) || !harmless(have)) {
      problems.push(`${what} ${have ?? 'unset'}, reference ${want ?? 'unset'}`)
    }
  }
  check('colour space', ref.colorSpace, video.colorSpace, SDR_SPACES)
  check('transfer', ref.colorTransfer, video.colorTransfer, SDR_TRANSFERS)
  check('primaries', ref.colorPrimaries, video.colorPrimaries, SDR_PRIMARIES)
  check('range', ref.colorRange, video.colorRange, ['tv'])
  return problems.length === 0
    ? passed('colour-tags', 'colour tags agree')
    : failed('colour-tags', problems.join('; '))
}

function sizeGate(result: MediaInfo, expect: FileExpectation): GateOutcome {
  const { size } = expect
  const rate = result.sizeBytes / size.inputBytes
  if (size.kind === 'smaller') {
    return gate(
      'file-size',
      result.sizeBytes > 0 && rate < COMPRESSION.maxRate,
      `${result.sizeBytes} bytes are ${(rate * 100).toFixed(1)} % of the input; below ${
        COMPRESSION.maxRate * 100
      } % is asked`,
    )
  }
  const limit = UPSCALE_SIZE_LIMIT[size.scale]
  return gate(
    'file-size',
    result.sizeBytes > 0 && rate <= limit,
    `${result.sizeBytes} bytes are ${rate.toFixed(2)} times the input; at most ${limit} are allowed`,
  )
}

function rateGate(
  result: MediaInfo,
  video: VideoStreamInfo,
  expect: FileExpectation,
): readonly GateOutcome[] {
  if (expect.bitrate === undefined || expect.bitrate.mode === 'CRF') return []
  const { mode, targetMbps } = expect.bitrate
  const measured = result.durationSeconds > 0 ? (result.sizeBytes * 8) / result.durationSeconds : 0
  const gotMbps = video.bitrateKbps === undefined ? measured / 1e6 : video.bitrateKbps / 1000
  return [
    gate(
      'bitrate',
      bitrateGate({ mode, targetMbps, gotMbps }),
      `${gotMbps.toFixed(3)} Mbit/s, target ${targetMbps} Mbit/s in ${mode} mode`,
    ),
  ]
}
