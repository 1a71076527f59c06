import { z } from 'zod'
import { decodedFrameCount } from './count.js'
import { MediaError } from './errors.js'
import { type MediaCallOptions, unreadable } from './ffmpeg.js'
import { GLOBAL_FLAGS, hostileInput } from './hostile.js'
import { runProcess } from './process.js'
import { confine } from './sandbox.js'
import { sniffFile } from './sniff.js'
import type { MediaInfo, VideoStreamInfo } from './types.js'

export interface ProbeOptions extends MediaCallOptions {
  /** Decode the video to count its frames. Default false: packets are counted. */
  readonly countDecoded?: boolean
  /** More streams than this are refused. Default 32. */
  readonly maxStreams?: number
}

const STREAM_FIELDS = [
  'codec_type,codec_name,profile,width,height,pix_fmt,bits_per_raw_sample,avg_frame_rate,r_frame_rate',
  'nb_read_packets,sample_aspect_ratio,color_space,color_transfer,color_primaries,color_range',
  'bit_rate,duration,channels,sample_rate',
].join(',')

const SHOWN = [
  'format=format_name,duration,size,bit_rate,nb_streams',
  'format_tags=major_brand',
  `stream=${STREAM_FIELDS}`,
  'stream_disposition=attached_pic',
  'stream_tags=rotate',
  'stream_side_data=rotation',
].join(':')

/** ffprobe writes numbers as text and `N/A` for what it does not know. */
const numeric = z
  .union([z.number(), z.string()])
  .optional()
  .transform((value) => {
    const number = Number.parseFloat(String(value ?? ''))
    return Number.isFinite(number) ? number : undefined
  })
const tag = z
  .string()
  .optional()
  .transform((value) => (value === 'unknown' || value === 'reserved' ? undefined : value))
const fraction = z
  .string()
  .optional()
  .transform((value) => {
    const [num, den] = (value ?? '').split('/').map(Number)
    return num !== undefined && den !== undefined && num > 0 && den > 0 ? { num, den } : undefined
  })

const streamSchema = z.object({
  codec_type: z.string().optional(),
  codec_name: z.string().optional(),
  profile: z.string().optional(),
  width: numeric,
  height: numeric,
  pix_fmt: z.string().optional(),
  bits_per_raw_sample: numeric,
  avg_frame_rate: fraction,
  r_frame_rate: fraction,
  nb_read_packets: numeric,
  sample_aspect_ratio: z.string().optional(),
  color_space: tag,
  color_transfer: tag,
  color_primaries: tag,
  color_range: tag,
  bit_rate: numeric,
  duration: numeric,
  channels: numeric,
  sample_rate: numeric,
  disposition: z.object({ attached_pic: numeric }).optional(),
  tags: z.object({ rotate: numeric }).optional(),
  side_data_list: z.array(z.object({ rotation: numeric })).optional(),
})
type Stream = z.infer<typeof streamSchema>

const probeSchema = z.object({
  streams: z.array(streamSchema).default([]),
  format: z.object({
    format_name: z.string(),
    duration: numeric,
    size: numeric,
    tags: z.object({ major_brand: z.string().trim().optional() }).optional(),
  }),
})

/**
 * Facts of a media file of unknown origin. Checks the first bytes before any demuxer runs.
 * Throws MediaError: MEDIA_NOT_FOUND, MEDIA_EMPTY, MEDIA_FORMAT_REFUSED, MEDIA_UNREADABLE, MEDIA_TIMEOUT.
 */
export async function probe(file: string, options: ProbeOptions = {}): Promise<MediaInfo> {
  const sniffed = await sniffFile(file)
  // ffprobe does not know a JPEG with a second one behind it, as cameras write them, unless it is told.
  const input = sniffed === 'jpeg' ? ['-f', 'jpeg_pipe'] : []
  const output = await runProbe(file, input, options)
  const parsed = probeSchema.safeParse(output)
  if (!parsed.success) {
    throw new MediaError(
      { code: 'MEDIA_UNREADABLE', path: file, detail: z.prettifyError(parsed.error).slice(0, 400) },
      'the prober reported nothing usable about the file',
    )
  }
  const { streams, format } = parsed.data
  const maxStreams = options.maxStreams ?? 32
  if (streams.length > maxStreams) {
    throw new MediaError(
      { code: 'MEDIA_LIMIT_EXCEEDED', limit: 'streams', value: streams.length, max: maxStreams },
      `the file has ${streams.length} streams; at most ${maxStreams} are accepted`,
    )
  }
  const video = streams.find(
    (stream) => stream.codec_type === 'video' && (stream.disposition?.attached_pic ?? 0) === 0,
  )
  const audio = streams.find((stream) => stream.codec_type === 'audio')
  const info = video === undefined ? undefined : videoInfo(video)
  const counted =
    info === undefined || options.countDecoded !== true
      ? undefined
      : await decodedFrameCount(file, options)
  return {
    container: format.format_name,
    majorBrand: format.tags?.major_brand,
    durationSeconds: format.duration ?? video?.duration ?? audio?.duration ?? 0,
    sizeBytes: format.size ?? 0,
    video: info === undefined || counted === undefined ? info : { ...info, frames: counted },
    audio:
      audio === undefined
        ? undefined
        : {
            codec: audio.codec_name ?? 'unknown',
            channels: audio.channels ?? 0,
            sampleRate: audio.sample_rate ?? 0,
          },
  }
}

/** `probe` for callers that cannot go on without a picture. Throws MEDIA_NO_VIDEO. */
export async function probeVideo(
  file: string,
  options: ProbeOptions = {},
): Promise<MediaInfo & { readonly video: VideoStreamInfo }> {
  const info = await probe(file, options)
  if (info.video === undefined) {
    throw new MediaError({ code: 'MEDIA_NO_VIDEO', path: file }, 'the file has no video stream')
  }
  return { ...info, video: info.video }
}

/** Asks ffprobe about a file of unknown origin; `asked` says what to show. Throws MediaError. */
export async function runFfprobe(
  file: string,
  asked: readonly string[],
  options: MediaCallOptions,
): Promise<string> {
  const timeoutMs = options.timeoutMs ?? 30_000
  const args = [
    ...['-hide_banner', '-loglevel', 'error', ...GLOBAL_FLAGS],
    ...[...asked, ...hostileInput(file)],
  ]
  const line = await confine(options.ffprobePath ?? 'ffprobe', args, {
    mode: options.sandbox ?? 'auto',
    reads: [args.at(-1)?.slice('file:'.length) ?? file],
    writes: [],
    maxMemoryBytes: 4 * 1024 ** 3,
    maxFileBytes: 0,
    timeoutMs,
  })
  try {
    const { stdout } = await runProcess(line.command, line.args, {
      tool: 'ffprobe',
      signal: options.signal,
      timeoutMs,
    })
    return stdout.toString('utf8')
  } catch (error) {
    throw unreadable(error, file)
  }
}

async function runProbe(
  file: string,
  input: readonly string[],
  options: ProbeOptions,
): Promise<unknown> {
  const asked = ['-count_packets', '-print_format', 'json', '-show_entries', SHOWN]
  const text = await runFfprobe(file, [...asked, ...input], options)
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new MediaError(
        { code: 'MEDIA_UNREADABLE', path: file, detail: error.message },
        'the prober wrote no valid JSON about the file',
        { cause: error },
      )
    }
    throw error
  }
}

function videoInfo(stream: Stream): VideoStreamInfo {
  const pixelFormat = stream.pix_fmt ?? 'unknown'
  const rotate =
    stream.side_data_list?.find((entry) => entry.rotation !== undefined)?.rotation ??
    -(stream.tags?.rotate ?? 0)
  const aspect = stream.sample_aspect_ratio
  return {
    codec: stream.codec_name ?? 'unknown',
    profile: stream.profile,
    width: stream.width ?? 0,
    height: stream.height ?? 0,
    pixelFormat,
    bitDepth: bitDepthOf(pixelFormat, stream.bits_per_raw_sample),
    fps: stream.avg_frame_rate ?? stream.r_frame_rate ?? { num: 0, den: 1 },
    evenlySpaced: isEven(stream),
    frames: stream.nb_read_packets ?? 0,
    sampleAspectRatio: aspect === undefined || aspect.startsWith('0:') ? '1:1' : aspect,
    // The display matrix counts counter-clockwise; ours is clockwise in quarter turns.
    rotation: (((Math.round(-rotate / 90) % 4) + 4) % 4) * 90,
    colorSpace: stream.color_space,
    colorTransfer: stream.color_transfer,
    colorPrimaries: stream.color_primaries,
    colorRange: stream.color_range,
    bitrateKbps: stream.bit_rate === undefined ? undefined : stream.bit_rate / 1000,
  }
}

const isEven = ({ avg_frame_rate: average, r_frame_rate: nominal }: Stream): boolean =>
  average !== undefined &&
  nominal !== undefined &&
  average.num * nominal.den === nominal.num * average.den

function bitDepthOf(pixelFormat: string, rawBits: number | undefined): number {
  const fromName = /(?:p|gray|y2|x2rgb|gbrap?|p0)(9|10|12|14|16)(?:le|be)?$/.exec(pixelFormat)?.[1]
  return fromName === undefined ? (rawBits ?? 8) : Number(fromName)
}
