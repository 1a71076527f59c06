import { type AxonRoute, refuse, serve } from 'subreel/axon'
import {
  AudioTask,
  ComfySupport,
  compressVideos,
  defineSynapse,
  LengthCheck,
  TaskStatusCheck,
  TaskWarrant,
  VideoCompression,
  VideoCompressionJob,
  VideoCompressionPoll,
  VideoTask,
  VideoUpscaling,
} from 'subreel/protocol'
import { z } from 'zod'
import { HashedTask } from '../support/wire-vectors.js'

export { HashedTask }

/** A synapse of the interop alone that answers with a stream. */
export const TokenStream = defineSynapse({
  name: 'TokenStream',
  request: z.object({ prompt: z.string().default('') }),
  response: z.object({ completion: z.string().default('') }),
  streaming: true,
})

/** Handlers that do what those of the Python helper do. */
export const routes = (seen: (name: string, request: unknown) => void): AxonRoute[] => [
  serve({ definition: TaskWarrant, handler: (_request) => ({ warrant_task: 2 }) }),
  serve({ definition: LengthCheck, handler: (_request) => ({ max_content_length: 10 }) }),
  serve({
    definition: VideoUpscaling,
    handler: ({ miner_payload: payload }) => {
      seen('VideoUpscalingProtocol', payload)
      if (payload.task_type === 'BROKEN') throw new Error('broken')
      if (payload.task_type === 'BUSY') throw refuse(429, 'busy')
      const { reference_video_url: url, task_type: type } = payload
      return { miner_response: { optimized_video_url: `${url}#${type}` } }
    },
  }),
  serve({
    definition: VideoCompression,
    handler: ({ miner_payload: payload }) => ({
      miner_response: {
        optimized_video_urls: compressVideos(payload).map(
          (video) => `${video.url}#${video.vmafThreshold}#${video.codec}`,
        ),
      },
    }),
  }),
  serve({
    definition: VideoCompressionJob,
    handler: ({ job_id: id }) => ({ job_response: { accepted: id === 'job-1' } }),
  }),
  serve({
    definition: VideoCompressionPoll,
    handler: ({ job_id: id }) => ({
      poll_response: {
        job_id: id,
        status: 'completed',
        optimized_video_url: 'http://198.51.100.1/r.mp4',
      },
    }),
  }),
  serve({
    definition: VideoTask,
    handler: (request) => ({
      status_code: 200,
      video_url: JSON.stringify(request.workflow_params, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      ),
    }),
  }),
  serve({
    definition: TaskStatusCheck,
    handler: ({ task_id: id = '' }) => ({
      status: 'processing',
      progress: 42.5,
      estimated_time: 7,
      error_message: id,
    }),
  }),
  serve({ definition: ComfySupport, handler: () => ({ supports_comfy: true }) }),
  serve({
    definition: AudioTask,
    handler: ({ input_data: data }) => ({
      output_data: [...data].reverse().join(''),
      processing_time: 1,
    }),
  }),
  serve({
    definition: HashedTask,
    handler: (request) => {
      seen('HashedTask', request)
      return { result: `${request.steps + 1n}:${request.prompt}` }
    },
  }),
  serve({
    definition: TokenStream,
    handler: async function* ({ prompt }) {
      for (const word of prompt.split(' ')) yield word
    },
  }),
]
