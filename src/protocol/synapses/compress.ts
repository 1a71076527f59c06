import { z } from 'zod'
import { inStep, perVideo, urlList, urlText, VIDEOS_MAX } from './common.js'
import { hasUrls, NO_URL, videoSynapse } from './video.js'

const threshold = z.number().min(0).max(100)
const codec = z.string().min(1).max(32)
const mode = z.string().min(1).max(16)
const bitrate = z.number().positive()
const listOf = <T extends z.ZodType>(item: T) => z.array(item).max(VIDEOS_MAX)

/** Old peers send a URL and a threshold, new ones also codec, mode and bitrate, and lists of each. */
export const CompressPayloadSchema = z
  .object({
    reference_video_urls: urlList.default([]),
    reference_video_url: urlText.default(''),
    /** VMAF, 0–100. */
    vmaf_threshold: threshold.default(90),
    vmaf_thresholds: listOf(threshold).default([]),
    target_codec: codec.default('av1'),
    target_codecs: listOf(codec).default([]),
    /** CRF, VBR or CBR. */
    codec_mode: mode.default('CRF'),
    codec_modes: listOf(mode).default([]),
    /** Mbit/s. */
    target_bitrate: bitrate.default(10),
    target_bitrates: listOf(bitrate).default([]),
  })
  .overwrite((payload) => {
    const urls = inStep(payload.reference_video_url, payload.reference_video_urls)
    const videos = urls.list.length
    const thresholds = perVideo(payload.vmaf_threshold, payload.vmaf_thresholds, videos)
    const codecs = perVideo(payload.target_codec, payload.target_codecs, videos)
    const modes = perVideo(payload.codec_mode, payload.codec_modes, videos)
    const bitrates = perVideo(payload.target_bitrate, payload.target_bitrates, videos)
    return {
      ...payload,
      reference_video_url: urls.scalar,
      reference_video_urls: urls.list,
      vmaf_threshold: thresholds.scalar,
      vmaf_thresholds: thresholds.list,
      target_codec: codecs.scalar,
      target_codecs: codecs.list,
      codec_mode: modes.scalar,
      codec_modes: modes.list,
      target_bitrate: bitrates.scalar,
      target_bitrates: bitrates.list,
    }
  })
  .refine(hasUrls, NO_URL)
export type CompressPayload = z.output<typeof CompressPayloadSchema>

/** One video of a compression task. */
export interface CompressVideo {
  readonly url: string
  /** VMAF, 0–100. */
  readonly vmafThreshold: number
  readonly codec: string
  readonly codecMode: string
  readonly bitrateMbps: number
}

/** The videos of a payload, one entry each, whichever form the peer used. */
export const compressVideos = (payload: CompressPayload): CompressVideo[] =>
  payload.reference_video_urls.map((url, i) => ({
    url,
    vmafThreshold: payload.vmaf_thresholds[i] ?? payload.vmaf_threshold,
    codec: payload.target_codecs[i] ?? payload.target_codec,
    codecMode: payload.codec_modes[i] ?? payload.codec_mode,
    bitrateMbps: payload.target_bitrates[i] ?? payload.target_bitrate,
  }))

/** Compress and answer with the result's URL in the same call. */
export const VideoCompression = videoSynapse(
  'VideoCompressionProtocol',
  CompressPayloadSchema.prefault({}),
)
