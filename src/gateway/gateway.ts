import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { UrlRules } from '../lib/http/index.js'
import type { Logger } from '../lib/log.js'
import { tempFolder } from '../lib/temp-folder.js'
import type { OrganicJob, OrganicJobs, OrganicRequest } from '../queue/index.js'
import { mountObjects } from '../storage/index.js'
import { GatewayError, STATUS } from './errors.js'
import { legacyRoutes } from './legacy.js'
import type { Admit, GatewayModules } from './modules.js'
import {
  checkSource,
  checkValues,
  JobBody,
  parseRequest,
  toOrganic,
  UploadQuery,
  Work,
} from './requests.js'

export interface GatewayOptions {
  readonly rules: UrlRules
  readonly maxUploadBytes: number
  readonly tempDir?: string
}

/** What a user sees of a job. */
export function publicJob(job: OrganicJob) {
  const { id, kind, priority, state, createdAt, updatedAt, error } = job
  return {
    id,
    kind,
    priority,
    state,
    createdAt,
    updatedAt,
    ...(error === undefined ? {} : { error }),
  }
}

/** Folder of uploads in the store. */
export const UPLOAD_FOLDER = 'uploads'
/** Miners may fetch an upload for this long. */
export const UPLOAD_EXPIRY_S = 24 * 3600
/** Event streams that one client may have open. */
const MAX_STREAMS = 64
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,128}$/

/**
 * The HTTP face for users: submit, follow, fetch. One OpenAPI document at /docs; the shapes of the
 * reference gateway beside it.
 */
export async function createGateway(
  options: GatewayOptions,
  modules: GatewayModules,
): Promise<FastifyInstance> {
  const app = Fastify({
    bodyLimit: 65_536,
    requestTimeout: 15 * 60_000,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  })
  // zod parses; the schemas of the routes are for the document.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  app.setErrorHandler((error, _request, reply) => sendError(error, reply, modules.log))
  app.setNotFoundHandler((_request, reply) => {
    reply
      .code(404)
      .send({ error: { code: 'GATEWAY_NOT_FOUND', message: 'no such address; see /docs' } })
  })
  await app.register(swagger, {
    openapi: {
      info: {
        title: 'Subreel gateway',
        version: '1',
        description: 'Compress, upscale and generate video through a subnet of miners.',
      },
      components: { securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-API-Key' } } },
      security: [{ key: [] }],
    },
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  // Videos are streamed by their handler, never collected.
  app.addContentTypeParser(/^(video\/|application\/octet-stream)/, (_request, payload, done) =>
    done(null, payload),
  )

  const streams = new Map<string, number>()
  const admit: Admit = (request) => modules.clients.admit(apiKey(request))
  const own = async (request: FastifyRequest): Promise<OrganicJob> => {
    const client = await admit(request)
    const { id } = request.params as { id: string }
    const job = /^[0-9a-f]{32}$/.test(id) ? await modules.jobs.get(id) : undefined
    if (job === undefined || job.client !== client) {
      throw new GatewayError({ code: 'GATEWAY_NOT_FOUND' }, 'there is no such job')
    }
    return job
  }
  const id = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] } as const

  const submit = async (job: OrganicRequest, reply: FastifyReply) => {
    const { id, duplicate } = await modules.jobs.submit(job)
    reply.code(duplicate ? 200 : 202)
    return submission(id)
  }

  app.post(
    '/v1/jobs',
    { bodyLimit: options.maxUploadBytes, schema: jobSchema() },
    async (request, reply) => {
      const client = await admit(request)
      const key = idempotencyKey(request)
      const known = key === undefined ? undefined : await modules.jobs.known(client, key)
      if (known !== undefined) return submission(known)
      const upload = request.headers['content-type']?.startsWith('application/json') !== true
      const body = upload ? undefined : parseRequest(JobBody, request.body)
      if (body?.kind === 'generation') {
        checkValues(body.values, options.rules)
        await modules.clients.spend(client)
        return submit(toOrganic(body, undefined, client, key), reply)
      }
      const work = parseRequest(Work, body ?? parseRequest(UploadQuery, request.query))
      const source = body === undefined ? undefined : checkSource(body.url, options.rules)
      await modules.clients.spend(client)
      const url =
        source ?? (await storeUpload(request.body as Readable, client, options, modules.uploads))
      return submit(toOrganic(work, url, client, key), reply)
    },
  )
  app.get('/v1/jobs/:id', { schema: { params: id } }, async (request) =>
    publicJob(await own(request)),
  )
  app.get('/v1/jobs/:id/result', { schema: { params: id } }, async (request) => {
    const job = await own(request)
    if (job.resultUrl === undefined) {
      throw new GatewayError(
        { code: 'GATEWAY_NO_RESULT', state: job.state },
        `the job is ${job.state}${job.error === undefined ? '' : `: ${job.error}`}`,
      )
    }
    return { id: job.id, url: job.resultUrl }
  })
  app.get('/v1/jobs/:id/events', { schema: { params: id } }, async (request, reply) => {
    const job = await own(request)
    const open = streams.get(job.client) ?? 0
    if (open >= MAX_STREAMS) {
      throw new GatewayError(
        { code: 'GATEWAY_RATE_LIMITED', retryAfterSeconds: 60 },
        `${MAX_STREAMS} event streams are open; close some`,
      )
    }
    streams.set(job.client, open + 1)
    await streamEvents(modules.jobs, job.id, reply).finally(() => {
      streams.set(job.client, (streams.get(job.client) ?? 1) - 1)
    })
  })
  await app.register(async (scope) => mountObjects(scope, modules.store))
  legacyRoutes(app, { ...modules, admit, rules: options.rules })
  return app
}

function jobSchema() {
  return {
    summary:
      'Submit a job: JSON with the URL of a video, or the video itself with the parameters in the query',
    body: z.toJSONSchema(JobBody, { target: 'openapi-3.0', io: 'input' }),
    headers: { type: 'object', properties: { 'idempotency-key': { type: 'string' } } },
  } as const
}

function submission(id: string) {
  const self = `/v1/jobs/${id}`
  return {
    id,
    state: 'queued',
    links: { self, events: `${self}/events`, result: `${self}/result` },
  }
}

function apiKey(request: FastifyRequest): string | undefined {
  const header = request.headers['x-api-key']
  if (typeof header === 'string') return header
  return /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key']
  if (header === undefined) return undefined
  if (typeof header === 'string' && IDEMPOTENCY_KEY.test(header)) return header
  throw new GatewayError(
    { code: 'GATEWAY_BAD_REQUEST' },
    'Idempotency-Key must be 1 to 128 printable characters',
  )
}

/** Streams an upload to disk under the limit, stores it, returns the URL miners get. */
async function storeUpload(
  body: Readable | undefined,
  client: string,
  options: GatewayOptions,
  uploads: GatewayModules['uploads'],
): Promise<string> {
  if (body === undefined || typeof body.pipe !== 'function') {
    throw new GatewayError(
      { code: 'GATEWAY_BAD_REQUEST' },
      'send JSON, or a video with a video/… content type',
    )
  }
  const limitBytes = options.maxUploadBytes
  let received = 0
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length
      if (received > limitBytes)
        done(
          new GatewayError(
            { code: 'GATEWAY_TOO_LARGE', limitBytes },
            `the file is larger than ${limitBytes} bytes`,
          ),
        )
      else done(null, chunk)
    },
  })
  await using dir = await tempFolder('subreel-upload-', options.tempDir)
  const path = join(dir.path, 'upload')
  await pipeline(body, meter, createWriteStream(path))
  if (received === 0) throw new GatewayError({ code: 'GATEWAY_BAD_REQUEST' }, 'the upload is empty')
  const file = { path, folder: UPLOAD_FOLDER, hotkey: client }
  return (await uploads.deliver(file, new AbortController().signal)).url
}

/** Server-sent events: the job now and after each change, until it has ended or the user hangs up. */
async function streamEvents(jobs: OrganicJobs, id: string, reply: FastifyReply): Promise<void> {
  reply.hijack()
  const gone = new AbortController()
  reply.raw.on('close', () => gone.abort())
  reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let told = ''
  for await (const job of jobs.watch(id, gone.signal)) {
    const event = `event: ${job.state}\ndata: ${JSON.stringify(publicJob(job))}\n\n`
    // A comment keeps proxies from closing a stream on which nothing happens.
    reply.raw.write(event === told ? ': waiting\n\n' : event)
    told = event
  }
  reply.raw.end()
}

function sendError(error: unknown, reply: FastifyReply, log: Logger): void {
  if (error instanceof GatewayError) {
    if (error.data.code === 'GATEWAY_RATE_LIMITED')
      reply.header('retry-after', error.data.retryAfterSeconds)
    reply.code(STATUS[error.code]).send({ error: { code: error.code, message: error.message } })
    return
  }
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status < 500) {
    reply
      .code(status)
      .send({ error: { code: 'GATEWAY_BAD_REQUEST', message: (error as Error).message } })
    return
  }
  log.error({ event: 'gateway.failed', error }, 'a request failed inside the gateway')
  reply
    .code(500)
    .send({ error: { code: 'GATEWAY_INTERNAL', message: 'the gateway failed; try again later' } })
}
