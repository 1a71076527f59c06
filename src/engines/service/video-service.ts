import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Clock, Deadline } from '../../lib/clock.js'
import { describeError, isAbort, SubnetError } from '../../lib/errors.js'
import { FetchError, type GuardedFetcher } from '../../lib/http/index.js'
import type { Logger } from '../../lib/log.js'
import { Places } from '../../lib/places.js'
import type { Workspace } from '../../lib/workspace.js'
import { ENGINE_DOUBT_CODES, ENGINE_DOWN_CODES } from '../errors.js'
import type { EngineMetrics } from '../metrics.js'
import type { Engine, VideoResult } from '../types.js'
import type { VideoRequest } from './requests.js'

export interface VideoServiceOptions<P> {
  readonly name: 'upscaler' | 'compressor'
  /** Where the reference shape is posted, e.g. `/upscale-video`. */
  readonly referenceRoute: string
  readonly referenceBody: z.ZodType<VideoRequest<P>>
  /** Where our own is posted, e.g. `/v1/upscale`. */
  readonly ownRoute: string
  readonly ownBody: z.ZodType<VideoRequest<P>>
  /** Jobs at once, and how many more may wait. Default 2 and 5. */
  readonly active?: number
  readonly waiting?: number
  readonly maxInputBytes: number
  /** A job that takes longer is ended, in milliseconds. */
  readonly jobTimeoutMs: number
}

export interface VideoServiceModules<P, R extends VideoResult> {
  readonly engine: Engine<P, R>
  readonly fetcher: GuardedFetcher
  readonly workspace: Workspace
  /** Stores the file and returns a URL for it. */
  readonly deliver: (path: string, signal: AbortSignal) => Promise<string>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: EngineMetrics
  /** Ends running work. */
  readonly stopping: AbortSignal
}

const FETCH_TIMEOUT_MS = 180_000
/** A sick engine is asked again whether it works no more often than this, and has so long to answer. */
const PROVE_EVERY_MS = 5_000
const PROVE_TIMEOUT_MS = 8_000
const FIRST_GUESS_SECONDS = 30

interface Failure {
  readonly code: string
  readonly message: string
}

type Outcome<R> =
  | { readonly url: string; readonly result: R }
  | { readonly failure: Failure }
  | { readonly retryAfterSeconds: number }

/**
 * One engine behind HTTP. The reference shape answers 200 with `uploaded_video_url`, null when the job
 * failed; ours answers with the result's facts, or a status and a code. Both: 400 for a bad body, 429
 * with Retry-After when all places are taken. A caller that hangs up ends its job.
 */
export class VideoService<P, R extends VideoResult> {
  readonly app: FastifyInstance
  readonly #options: VideoServiceOptions<P>
  readonly #modules: VideoServiceModules<P, R>
  readonly #places: Places
  readonly #running = new Set<Promise<unknown>>()
  #usualSeconds = FIRST_GUESS_SECONDS
  #draining = false
  /** What an engine that failed by its own fault said, until it proves itself or does a job. */
  #sick: string | undefined
  /** The last job failed in a way that may be the engine's fault. */
  #doubted = false
  #provedMs = Number.NEGATIVE_INFINITY

  constructor(options: VideoServiceOptions<P>, modules: VideoServiceModules<P, R>) {
    this.#options = options
    this.#modules = modules
    this.#places = new Places({ active: options.active ?? 2, waiting: options.waiting ?? 5 })
    this.app = Fastify({ bodyLimit: 64 * 1024, requestTimeout: 0, forceCloseConnections: true })
    this.#routes()
  }

  #routes(): void {
    const { name, referenceRoute, referenceBody, ownRoute, ownBody, active, waiting } =
      this.#options
    const { engine } = this.#modules
    this.app.get('/health', async (_request, reply) => {
      const reason = await this.#whySick()
      const about = { service: name, engine: engine.name }
      if (reason === undefined) return { status: 'healthy', ...about }
      reply.code(503)
      return { status: 'unhealthy', ...about, reason }
    })
    this.app.get('/queue', async () => ({
      active: this.#places.active,
      waiting: this.#places.waiting,
      max_active: active ?? 2,
      max_waiting: waiting ?? 5,
    }))
    this.app.post(referenceRoute, async (request, reply) => {
      const outcome = await this.#handle(request, reply, referenceBody)
      if (outcome === undefined) return reply
      return { uploaded_video_url: 'url' in outcome ? outcome.url : null }
    })
    this.app.post(ownRoute, async (request, reply) => {
      const outcome = await this.#handle(request, reply, ownBody)
      if (outcome === undefined) return reply
      if ('url' in outcome) {
        const { path: _, ...facts } = outcome.result
        return { url: outcome.url, ...facts }
      }
      reply.code(outcome.failure.code.startsWith('FETCH_') ? 422 : 500)
      return { error: outcome.failure }
    })
  }

  /** Undefined when the reply is already sent. */
  async #handle(
    request: FastifyRequest,
    reply: FastifyReply,
    schema: z.ZodType<VideoRequest<P>>,
  ): Promise<Exclude<Outcome<R>, { readonly retryAfterSeconds: number }> | undefined> {
    if (this.#draining) {
      const error = { code: 'STOPPING', message: 'the service is stopping' }
      await reply.code(503).header('retry-after', '10').send({ error })
      return undefined
    }
    const body = schema.safeParse(request.body)
    if (!body.success) {
      const message = z.prettifyError(body.error).slice(0, 500)
      await reply.code(400).send({ error: { code: 'BAD_REQUEST', message } })
      return undefined
    }
    const gone = new AbortController()
    const onClose = () => gone.abort(new DOMException('the caller hung up', 'AbortError'))
    reply.raw.once('close', onClose)
    try {
      const job = this.#job(body.data, gone.signal)
      this.#running.add(job)
      const outcome = await job.finally(() => this.#running.delete(job))
      if (!('retryAfterSeconds' in outcome)) return outcome
      await reply
        .code(429)
        .header('retry-after', `${outcome.retryAfterSeconds}`)
        .send({ error: { code: 'BUSY', message: 'all places are taken; try again later' } })
      return undefined
    } finally {
      reply.raw.off('close', onClose)
    }
  }

  async #job(job: VideoRequest<P>, gone: AbortSignal): Promise<Outcome<R>> {
    const { metrics, stopping, log, clock } = this.#modules
    const { name: service, jobTimeoutMs } = this.#options
    const waitFor = AbortSignal.any([gone, stopping])
    const turn = this.#places.take(waitFor)
    if (turn === undefined) {
      metrics.jobs.inc({ service, outcome: 'refused' })
      return { retryAfterSeconds: Math.ceil(this.#usualSeconds) }
    }
    this.#count()
    let release = () => {}
    const started = clock.monotonic()
    try {
      release = await turn
      using limit = new Deadline(jobTimeoutMs, waitFor)
      const done = await this.#work(job, limit.signal)
      this.#sick = undefined
      this.#doubted = false
      const seconds = (clock.monotonic() - started) / 1000
      this.#usualSeconds = 0.7 * this.#usualSeconds + 0.3 * seconds
      metrics.jobs.inc({ service, outcome: 'done' })
      metrics.seconds.observe({ service }, seconds)
      log.info(
        { event: 'job.done', service, seconds, sizeBytes: done.result.sizeBytes },
        'finished a job',
      )
      return done
    } catch (error) {
      const failure = failureOf(error)
      if (ENGINE_DOWN_CODES.has(failure.code)) this.#sick = failure.message
      this.#doubted ||= ENGINE_DOUBT_CODES.has(failure.code)
      metrics.jobs.inc({ service, outcome: failure.code })
      log.warn({ event: 'job.failed', service, code: failure.code, err: error }, 'a job failed')
      return { failure }
    } finally {
      release()
      this.#count()
    }
  }

  async #work(
    { url, params }: VideoRequest<P>,
    signal: AbortSignal,
  ): Promise<{ readonly url: string; readonly result: R }> {
    const { engine, fetcher, deliver, workspace } = this.#modules
    const { maxInputBytes } = this.#options
    return workspace.within(async (workDir) => {
      const path = join(workDir, 'input')
      await fetcher.download(url, path, {
        maxBytes: maxInputBytes,
        timeoutMs: FETCH_TIMEOUT_MS,
        signal,
      })
      const result = await engine.run({ path, params }, { workDir, signal })
      return { url: await deliver(result.path, signal), result }
    })
  }

  /** Why the engine cannot work now; undefined while it can, as far as is known. */
  async #whySick(): Promise<string | undefined> {
    const { engine, clock, stopping } = this.#modules
    const asks = this.#sick !== undefined || this.#doubted
    if (!asks || clock.monotonic() - this.#provedMs < PROVE_EVERY_MS) return this.#sick
    this.#provedMs = clock.monotonic()
    try {
      using limit = new Deadline(PROVE_TIMEOUT_MS, stopping)
      await engine.ready(limit.signal)
      this.#sick = undefined
      this.#doubted = false
    } catch (error) {
      this.#sick = describeError(error)
    }
    return this.#sick
  }

  #count(): void {
    const { metrics } = this.#modules
    const { name: service } = this.#options
    metrics.active.set({ service }, this.#places.active)
    metrics.waiting.set({ service }, this.#places.waiting)
  }

  /** Listens; returns the port. */
  async listen(host: string, port: number): Promise<number> {
    await this.app.listen({ host, port })
    const address = this.app.server.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  /** Takes no more jobs; resolves when none is left. */
  async drained(): Promise<void> {
    this.#draining = true
    await Promise.allSettled(this.#running)
  }

  async close(): Promise<void> {
    await this.app.close()
    await this.#modules.engine.close()
  }
}

function failureOf(error: unknown): Failure {
  if (error instanceof FetchError) {
    return { code: error.code, message: `cannot fetch the input: ${error.message}` }
  }
  if (error instanceof SubnetError) return { code: error.code, message: error.message }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return { code: 'TIMEOUT', message: 'the job took too long' }
  }
  if (isAbort(error)) return { code: 'ABORTED', message: 'the job was ended' }
  return { code: 'INTERNAL', message: describeError(error) }
}
