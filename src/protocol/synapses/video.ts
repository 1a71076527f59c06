import { z } from 'zod'
import { defineSynapse } from '../synapse.js'
import { MinerResponseSchema, VersionSchema } from './common.js'

/** Every video of a payload has an address. */
export const hasUrls = ({ reference_video_urls: urls }: { reference_video_urls: string[] }) =>
  urls.length > 0 && !urls.includes('')
export const NO_URL = 'reference_video_url must not be empty'

/** Do what the payload says to its videos and answer with the results' URLs in the same call. */
export const videoSynapse = <P extends z.ZodType>(name: string, payload: P) =>
  defineSynapse({
    name,
    request: z.object({
      version: VersionSchema.optional(),
      round_id: z.string().max(128).optional(),
      miner_payload: payload,
    }),
    response: z.object({
      version: VersionSchema.optional(),
      miner_response: MinerResponseSchema.prefault({}),
    }),
  })
