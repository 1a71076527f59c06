import { z } from 'zod'
import { describeError } from '../lib/errors.js'
import { parseGuardedUrl, type UrlRules } from '../lib/http/index.js'
import { UPSCALE_TASK_TYPES } from '../protocol/index.js'
import { ORGANIC_PRIORITIES, type OrganicRequest } from '../queue/index.js'
import { GatewayError } from './errors.js'

const compression = {
  /** VMAF NEG that the result must reach. The default is one that rounds draw, too. */
  vmafThreshold: z.number().min(0).max(100).default(89),
  codec: z.enum(['av1', 'hevc', 'h264', 'vp9']).default('av1'),
  mode: z.enum(['CRF', 'VBR']).default('CRF'),
  targetBitrateMbps: z.number().positive().max(1000).default(10),
}
const upscaling = { taskType: z.enum(UPSCALE_TASK_TYPES).default('HD24K') }
/** What waits with a greater priority starts first. */
const priority = z.enum(ORGANIC_PRIORITIES).default('normal')
const timing = { timeoutSeconds: z.number().min(5).max(7200).default(600), priority }

/** What to do, without the source. */
export const Work = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('compression'), ...compression, ...timing }),
  z.object({ kind: z.literal('upscaling'), ...upscaling, ...timing }),
])

/** A video from a workflow of the validator's. */
const Generation = z.object({
  kind: z.literal('generation'),
  workflow: z.string().max(80).default('wan21-t2v-480p'),
  /** By the names of the workflow's mapping: `video_prompt`, `negative_prompt`, `image_url`, `seed` … */
  values: z.record(z.string().max(64), z.union([z.string().max(20_000), z.number()])),
  timeoutSeconds: z.number().min(5).max(7200).default(1800),
  priority,
})

/** Body of POST /v1/jobs as JSON. */
export const JobBody = z.discriminatedUnion('kind', [
  Generation,
  z.object({ kind: z.literal('compression'), url: z.string(), ...compression, ...timing }),
  z.object({ kind: z.literal('upscaling'), url: z.string(), ...upscaling, ...timing }),
])

/** Parameters of POST /v1/jobs when the body is the video itself: text, as queries are. */
export const UploadQuery = z.preprocess((query) => {
  const numbers = ['vmafThreshold', 'targetBitrateMbps', 'timeoutSeconds']
  return Object.fromEntries(
    Object.entries(query as object).map(([name, value]) => [
      name,
      numbers.includes(name) ? Number(value) : value,
    ]),
  )
}, Work)

/** @throws GatewayError GATEWAY_BAD_REQUEST naming every field at fault */
export function parseRequest<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(
    ({ path, message }) => `${path.join('.') || 'body'}: ${message}`,
  )
  throw new GatewayError({ code: 'GATEWAY_BAD_REQUEST' }, problems.join('; '))
}

/** Refuses a source that no miner may fetch. @throws GatewayError GATEWAY_BAD_REQUEST */
export function checkSource(url: string, rules: UrlRules): string {
  try {
    return parseGuardedUrl(url, rules).href
  } catch (cause) {
    throw new GatewayError({ code: 'GATEWAY_BAD_REQUEST' }, `url: ${describeError(cause)}`, {
      cause,
    })
  }
}

/** Refuses URLs among the values that no miner may fetch. @throws GatewayError GATEWAY_BAD_REQUEST */
export function checkValues(
  values: Readonly<Record<string, string | number>>,
  rules: UrlRules,
): void {
  for (const [name, value] of Object.entries(values))
    if (name.endsWith('_url')) checkSource(String(value), rules)
}

/** A job as the queue takes it; without a URL for work that needs no source. */
export function toOrganic(
  work: z.output<typeof Work> | z.output<typeof Generation>,
  url: string | undefined,
  client: string,
  idempotencyKey: string | undefined,
): OrganicRequest {
  const { kind, timeoutSeconds, priority, ...params } = work
  return {
    client,
    kind,
    priority,
    params: url === undefined ? params : { url, ...params },
    timeoutSeconds,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  }
}
