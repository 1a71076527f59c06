import { z } from 'zod'
import { defineSynapse } from '../synapse.js'
import { inStep, MinerResponseSchema, urlList, urlText } from './common.js'
import { CompressPayloadSchema } from './compress.js'
import { UpscalePayloadSchema } from './upscale.js'

const jobId = z.string().min(1).max(128).prefault('')

const jobReply = z.object({
  job_response: z.object({ accepted: z.boolean().default(false) }).prefault({}),
  /** Filled by the validator once polling is over. */
  miner_response: MinerResponseSchema.prefault({}),
})

/** Hands a miner a job under the validator's id; the miner acknowledges and works on. */
export const VideoUpscalingJob = defineSynapse({
  name: 'VideoUpscalingJobProtocol',
  request: z.object({ job_id: jobId, miner_payload: UpscalePayloadSchema.prefault({}) }),
  response: jobReply,
})

/** Hands a miner a job under the validator's id; the miner acknowledges and works on. */
export const VideoCompressionJob = defineSynapse({
  name: 'VideoCompressionJobProtocol',
  request: z.object({ job_id: jobId, miner_payload: CompressPayloadSchema.prefault({}) }),
  response: jobReply,
})

export const POLL_STATUSES = ['unknown', 'processing', 'completed', 'failed'] as const
export type PollStatus = (typeof POLL_STATUSES)[number]

/** A miner's word on a job. A status we do not know reads as `unknown`, which is not `failed`. */
export const PollResponseSchema = z
  .object({
    job_id: z.string().max(128).default(''),
    status: z.enum(POLL_STATUSES).catch('unknown').default('unknown'),
    optimized_video_urls: urlList.default([]),
    optimized_video_url: urlText.default(''),
  })
  .overwrite((response) => {
    const urls = inStep(response.optimized_video_url, response.optimized_video_urls)
    return { ...response, optimized_video_url: urls.scalar, optimized_video_urls: urls.list }
  })
export type PollResponse = z.output<typeof PollResponseSchema>

const poll = (name: string) =>
  defineSynapse({
    name,
    request: z.object({ job_id: jobId }),
    response: z.object({ poll_response: PollResponseSchema.prefault({}) }),
  })

/** Asks how an upscaling job stands. */
export const VideoUpscalingPoll = poll('VideoUpscalingPollProtocol')
/** Asks how a compression job stands. */
export const VideoCompressionPoll = poll('VideoCompressionPollProtocol')
