import { z } from 'zod'
import { UPSCALE_TASK_TYPES } from '../../protocol/index.js'
import { VIDEO_CODECS } from '../../scoring/types.js'
import { workflowSchema } from '../../workflows/index.js'

/** Parameters of an organic task, as a row or the gateway gives them. */
export const OrganicParams = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('compression'),
    url: z.url(),
    // Defaults are what rounds draw as well: work for users who say nothing looks like a round.
    vmafThreshold: z.number().min(0).max(100).default(89),
    codec: z.enum(VIDEO_CODECS).default('av1'),
    mode: z.enum(['CRF', 'VBR']).default('CRF'),
    targetBitrateMbps: z.number().positive().default(10),
  }),
  z.object({
    kind: z.literal('upscaling'),
    url: z.url(),
    taskType: z.enum(UPSCALE_TASK_TYPES).default('HD24K'),
  }),
  z
    .object({
      kind: z.literal('generation'),
      /** Name of a workflow of this validator's. */
      workflow: z.string().max(80).optional(),
      /** What it is filled with, by the names of its mapping: `video_prompt`, `seed`, `image_url` … */
      values: z
        .record(z.string().max(64), z.union([z.string().max(20_000), z.number()]))
        .default({}),
      /** Instead of a name: a whole workflow in ComfyUI's API format. */
      workflow_params: workflowSchema.optional(),
    })
    .refine(({ workflow, workflow_params }) => (workflow ?? workflow_params) !== undefined, {
      message: 'name a workflow, or give one as workflow_params',
    }),
])
/** Parameters that were checked. */
export type OrganicRequest = z.output<typeof OrganicParams>

/** How warrants name the kinds of tasks. */
export const KIND_NAMES: Readonly<Record<string, string>> = {
  generation: 'generate',
  compression: 'compress',
  upscaling: 'upscale',
}
