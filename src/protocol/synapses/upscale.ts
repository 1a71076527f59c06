import { z } from 'zod'
import { inStep, perVideo, urlList, urlText, VIDEOS_MAX } from './common.js'
import { hasUrls, NO_URL, videoSynapse } from './video.js'

/** Upscaling task types of the reference subnet: SD24K means ×4, the others ×2. */
export const UPSCALE_TASK_TYPES = ['HD24K', 'SD2HD', 'SD24K', '4K28K'] as const
export type UpscaleTaskType = (typeof UPSCALE_TASK_TYPES)[number]

const taskType = z.string().min(1).max(32)

/** Old peers send the scalar fields, new ones also the lists; after parsing both are there. */
export const UpscalePayloadSchema = z
  .object({
    reference_video_urls: urlList.default([]),
    reference_video_url: urlText.default(''),
    /** Megabytes. An int of any size on the wire; here the nearest double. */
    maximum_optimized_size_mb: z.number().multipleOf(1).positive().default(100),
    task_types: z.array(taskType).max(VIDEOS_MAX).default([]),
    task_type: taskType.default('HD24K'),
  })
  .overwrite((payload) => {
    const urls = inStep(payload.reference_video_url, payload.reference_video_urls)
    const types = perVideo(payload.task_type, payload.task_types, urls.list.length)
    return {
      ...payload,
      reference_video_url: urls.scalar,
      reference_video_urls: urls.list,
      task_type: types.scalar,
      task_types: types.list,
    }
  })
  .refine(hasUrls, NO_URL)
export type UpscalePayload = z.output<typeof UpscalePayloadSchema>

/** One video of an upscaling task. */
export interface UpscaleVideo {
  readonly url: string
  readonly taskType: string
}

/** The videos of a payload, one entry each, whichever form the peer used. */
export const upscaleVideos = (payload: UpscalePayload): UpscaleVideo[] =>
  payload.reference_video_urls.map((url, i) => ({
    url,
    taskType: payload.task_types[i] ?? payload.task_type,
  }))

/** Upscale and answer with the result's URL in the same call. */
export const VideoUpscaling = videoSynapse(
  'VideoUpscalingProtocol',
  UpscalePayloadSchema.prefault({}),
)
