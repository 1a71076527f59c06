import { createHash } from 'node:crypto'
import { z } from 'zod'
import { CODECS, type Codec } from '../engines/types.js'
import { canonicalJson } from '../lib/canonical.js'
import {
  type CompressPayload,
  compressVideos,
  type UpscalePayload,
  upscaleVideos,
} from '../protocol/index.js'
import { MinerError } from './errors.js'

/** What the queue carries for one video of an upscaling task. */
export const upscaleVideoSchema = z.object({
  url: z.string(),
  scale: z.literal([2, 4]),
  maxSizeBytes: z.number(),
})
export type UpscaleVideoTask = z.infer<typeof upscaleVideoSchema>

/** What the queue carries for one video of a compression task. */
export const compressVideoSchema = z.object({
  url: z.string(),
  vmafThreshold: z.number(),
  codec: z.enum(CODECS),
  mode: z.enum(['CRF', 'VBR']),
  targetBitrateKbps: z.number(),
})
export type CompressVideoTask = z.infer<typeof compressVideoSchema>

export const upscaleTaskSchema = z.object({ videos: z.array(upscaleVideoSchema).min(1) })
export type UpscaleTask = z.infer<typeof upscaleTaskSchema>
export const compressTaskSchema = z.object({ videos: z.array(compressVideoSchema).min(1) })
export type CompressTask = z.infer<typeof compressTaskSchema>

/** What the queue carries of a generation task. */
export const generateVideoSchema = z.object({
  /** A workflow in ComfyUI's API format as JSON, by `packBigints`. */
  workflow: z.string(),
  /** Where the result is PUT; '' for this miner's own store. */
  uploadUrl: z.string(),
  fileName: z.string(),
})
export type GenerateVideoTask = z.infer<typeof generateVideoSchema>

export const generateTaskSchema = z.object({ videos: z.array(generateVideoSchema).length(1) })
export type GenerateTask = z.infer<typeof generateTaskSchema>

const done = z.object({
  ok: z.literal(true),
  url: z.string(),
  /** Absent for results that a service delivered: it alone knows. */
  key: z.string().optional(),
  /** Unix milliseconds; the URL is not handed out any more from then on. */
  expiresAtMs: z.number(),
  sizeBytes: z.number().optional(),
  engine: z.string(),
  /** Of generated videos: what ffprobe says of the files. */
  metadataUrl: z.string().optional(),
})
const failed = z.object({ ok: z.literal(false), code: z.string(), message: z.string() })

/** What became of one video. `url` is '' for a result that went to the caller's own store. */
export const videoOutcomeSchema = z.discriminatedUnion('ok', [done, failed])
export type VideoOutcome = z.infer<typeof videoOutcomeSchema>
/** What became of a task, one entry per video in the order asked. */
export const taskResultSchema = z.object({ videos: z.array(videoOutcomeSchema) })
export type TaskResult = z.infer<typeof taskResultSchema>

const MB = 1_000_000

/** SD24K asks for four times the size, every other task type for twice. */
export function upscaleTask(payload: UpscalePayload): UpscaleTask {
  const maxSizeBytes = payload.maximum_optimized_size_mb * MB
  return {
    videos: upscaleVideos(payload).map(({ url, taskType }) => ({
      url,
      scale: taskType.toUpperCase() === 'SD24K' ? 4 : 2,
      maxSizeBytes,
    })),
  }
}

const CODEC_NAMES: Readonly<Record<string, Codec>> = {
  av1: 'av1',
  svtav1: 'av1',
  libsvtav1: 'av1',
  av1_nvenc: 'av1',
  hevc: 'hevc',
  h265: 'hevc',
  libx265: 'hevc',
  hevc_nvenc: 'hevc',
  h264: 'h264',
  avc: 'h264',
  libx264: 'h264',
  h264_nvenc: 'h264',
  vp9: 'vp9',
  'libvpx-vp9': 'vp9',
}

/** @throws MinerError MINER_BAD_TASK for a codec or a mode that nobody knows */
export function compressTask(payload: CompressPayload): CompressTask {
  return {
    videos: compressVideos(payload).map((video) => {
      const codec = CODEC_NAMES[video.codec.toLowerCase()]
      if (codec === undefined) {
        throw new MinerError(
          { code: 'MINER_BAD_TASK', field: 'target_codec' },
          `unknown codec; known are ${CODECS.join(', ')}`,
        )
      }
      const mode = video.codecMode.toUpperCase()
      if (mode !== 'CRF' && mode !== 'VBR' && mode !== 'CBR') {
        throw new MinerError(
          { code: 'MINER_BAD_TASK', field: 'codec_mode' },
          'unknown codec mode; known are CRF, VBR, CBR',
        )
      }
      return {
        url: video.url,
        vmafThreshold: video.vmafThreshold,
        codec,
        // A constant bitrate is a variable one under the same cap.
        mode: mode === 'CRF' ? 'CRF' : 'VBR',
        targetBitrateKbps: Math.round(video.bitrateMbps * 1_000),
      }
    }),
  }
}

/**
 * Id of a task whose synapse has none: the round and everything asked for. A validator that sends the
 * same again after a broken connection gets the same job.
 */
export function taskIdOf(roundId: string | undefined, task: UpscaleTask | CompressTask): string {
  const text = canonicalJson({ roundId: roundId ?? '', task })
  return `once:${createHash('sha256').update(text).digest('hex')}`
}

/** Ids that callers give live in spaces of their own, so that no two synapses share one by accident. */
export const jobTaskId = (jobId: string): string => `job:${jobId}`
export const generationTaskId = (taskId: string): string => `task:${taskId}`

/** URLs of a result in the order asked, `''` for what failed or whose time is over. */
export function resultUrls(result: unknown, nowMs: number): string[] {
  const parsed = taskResultSchema.safeParse(result)
  if (!parsed.success) return []
  return parsed.data.videos.map((video) => (video.ok && video.expiresAtMs > nowMs ? video.url : ''))
}
