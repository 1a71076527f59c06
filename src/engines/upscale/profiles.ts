import type { VideoStreamInfo } from '../../media/index.js'
import { colorArgs, colorTagsOf } from '../color.js'
import type { UpscaleParams } from '../types.js'

export type UpscaleCodec = NonNullable<UpscaleParams['codec']>

export interface UpscaleProfile {
  /** ffmpeg's encoder. */
  readonly encoder: string
  /** Its settings: visually lossless, for a validator compares with a pristine original. */
  readonly settings: Readonly<Record<string, string>>
  /** Tag of the track in MP4, where players are choosy. */
  readonly tag: string | undefined
}

/** How results are encoded, by codec; the embedded engine and Video2X use the same table. */
export const UPSCALE_PROFILES: Readonly<Record<UpscaleCodec, UpscaleProfile>> = {
  hevc: {
    encoder: 'libx265',
    settings: { preset: 'medium', crf: '20', profile: 'main', 'x265-params': 'log-level=error' },
    tag: 'hvc1',
  },
  h264: {
    encoder: 'libx264',
    settings: { preset: 'slow', crf: '18', profile: 'high' },
    tag: undefined,
  },
  av1: { encoder: 'libsvtav1', settings: { preset: '6', crf: '26' }, tag: undefined },
}

/**
 * The filter that makes yuv420p of rgb24 in the source's own matrix and range; untagged sources use
 * what swscale assumed when it made the rgb24.
 */
export function toYuvFilter(video: VideoStreamInfo): string {
  const matrix = video.colorSpace === undefined ? 'bt601' : swscaleMatrix(video.colorSpace)
  const range = video.colorRange === 'pc' ? 'full' : 'limited'
  const aspect = video.sampleAspectRatio.replace(':', '/')
  const scale = `scale=out_color_matrix=${matrix}:out_range=${range}:flags=bicubic+accurate_rnd`
  return `${scale},format=yuv420p,setsar=${aspect}`
}

const MATRICES: Readonly<Record<string, string>> = {
  bt709: 'bt709',
  fcc: 'fcc',
  bt470bg: 'bt601',
  smpte170m: 'smpte170m',
  smpte240m: 'smpte240m',
  bt2020nc: 'bt2020',
  bt2020c: 'bt2020',
}

function swscaleMatrix(space: string): string {
  return MATRICES[space] ?? 'bt601'
}

/** Output arguments of a result: encoder, colour, MP4 with its index in front. */
export function profileArgs(codec: UpscaleCodec, video: VideoStreamInfo): readonly string[] {
  const { encoder, settings, tag } = UPSCALE_PROFILES[codec]
  const options = Object.entries(settings).flatMap(([name, value]) => [
    name === 'profile' ? '-profile:v' : `-${name}`,
    value,
  ])
  return [
    ...['-c:v', encoder, ...options],
    ...(tag === undefined ? [] : ['-tag:v', tag]),
    ...colorArgs(colorTagsOf(video)),
    ...['-movflags', '+faststart+write_colr', '-f', 'mp4'],
  ]
}
