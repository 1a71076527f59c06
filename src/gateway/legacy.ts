import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { canonicalJson } from '../lib/canonical.js'
import type { UrlRules } from '../lib/http/index.js'
import type { OrganicJob } from '../queue/index.js'
import { GatewayError } from './errors.js'
import type { Admit, GatewayModules } from './modules.js'
import { checkSource, parseRequest, toOrganic, Work } from './requests.js'

const UpscaleBody = z.object({
  chunk_id: z.string().max(128),
  chunk_url: z.string(),
  resolution_type: z.enum(['SD2HD', 'SD24K', 'HD24K']),
})

/** What the reference calls High quality loses least. */
const THRESHOLDS = { High: 93, Medium: 89, Low: 85 } as const

const CompressBody = z.object({
  chunk_id: z.string().max(128),
  chunk_url: z.string(),
  compression_type: z.enum(['High', 'Medium', 'Low']),
  target_codec: z.enum(['av1', 'hevc', 'h264', 'vp9']).default('av1'),
  codec_mode: z.enum(['VBR', 'CRF']).default('CRF'),
  target_bitrate: z.number().positive().default(10),
})

const accepted = (id: string) => ({ task_id: id, status: 'queued', message: 'accepted' })
const fingerprint = (value: unknown) =>
  createHash('sha256').update(canonicalJson(value)).digest('hex')
const iso = (ms: number) => new Date(ms).toISOString()

/**
 * The shapes of the reference gateway (Vidaio's organic gateway), so that its clients need only
 * another address. Results are keyed by job, not by source URL: two users never share one.
 */
export function legacyRoutes(
  app: FastifyInstance,
  modules: GatewayModules & { readonly admit: Admit; readonly rules: UrlRules },
): void {
  const { jobs, clients, admit, rules } = modules
  const submit = async (client: string, chunkUrl: string, chunkId: string, work: unknown) => {
    const url = checkSource(chunkUrl, rules)
    // The same chunk again is the same job, another kind of work or another source is not.
    const key = `chunk:${fingerprint({ chunkId, url, work })}`
    const known = await jobs.known(client, key)
    if (known !== undefined) return accepted(known)
    await clients.spend(client)
    return accepted((await jobs.submit(toOrganic(parseRequest(Work, work), url, client, key))).id)
  }
  const find = async (client: string, id: string): Promise<OrganicJob> => {
    const job = /^[0-9a-f]{32}$/.test(id) ? await jobs.get(id) : undefined
    if (job?.client !== client)
      throw new GatewayError({ code: 'GATEWAY_NOT_FOUND' }, 'there is no such task')
    return job
  }
  app.post('/upscale', async (request) => {
    const client = await admit(request)
    const body = parseRequest(UpscaleBody, request.body)
    return submit(client, body.chunk_url, body.chunk_id, {
      kind: 'upscaling',
      taskType: body.resolution_type,
    })
  })
  app.post('/compress', async (request) => {
    const client = await admit(request)
    const body = parseRequest(CompressBody, request.body)
    return submit(client, body.chunk_url, body.chunk_id, {
      kind: 'compression',
      vmafThreshold: THRESHOLDS[body.compression_type],
      codec: body.target_codec,
      mode: body.codec_mode,
      targetBitrateMbps: body.target_bitrate,
    })
  })
  app.get('/status/:id', async (request) => {
    const job = await find(await admit(request), (request.params as { id: string }).id)
    return {
      task_id: job.id,
      status: job.state,
      message: job.error ?? job.state,
      created_at: iso(job.createdAt),
      updated_at: iso(job.updatedAt),
    }
  })
  app.get('/result/:id', async (request) => {
    const job = await find(await admit(request), (request.params as { id: string }).id)
    return {
      task_id: job.id,
      status: job.state,
      original_video_url: job.params['url'],
      ...(job.resultUrl === undefined ? {} : { processed_video_url: job.resultUrl }),
      message: job.error ?? job.state,
    }
  })
  app.get('/task_count', async (request) => {
    await admit(request)
    return { total_count: await jobs.waiting() }
  })
  app.get('/ping', async () => ({ status: 'ok' }))
}
