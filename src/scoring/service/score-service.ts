import { realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { z } from 'zod'
import { type Clock, deadline } from '../../lib/clock.js'
import { isAbort, SubnetError } from '../../lib/errors.js'
import { FetchError, type GuardedFetcher } from '../../lib/http/index.js'
import type { Logger } from '../../lib/log.js'
import { mapLimit } from '../../lib/loop.js'
import { Places } from '../../lib/places.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { ScoringError } from '../errors.js'
import { findCopies } from '../gates/copies.js'
import type { Judge, Judged, ResultFile } from '../judge/index.js'
import type { ScoringMetrics } from '../metrics.js'
import type { ScoreRecord } from '../types.js'
import { type FileRef, SCORE_REQUEST, type ScoreRequest } from './request.js'

export interface ScoreServiceOptions {
  /** Requests judged at once, and how many more may wait. Default 1 and 8. */
  readonly active?: number
  readonly waiting?: number
  readonly maxInputBytes: number
  readonly jobTimeoutMs: number
  readonly tempDir?: string | undefined
  /** Folders below which local files may be named; none when empty. */
  readonly localFolders: readonly string[]
}

export interface ScoreServiceModules {
  readonly judge: Judge
  readonly fetcher: GuardedFetcher
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: ScoringMetrics
  /** Ends running work. */
  readonly stopping: AbortSignal
}

interface Failure {
  readonly code: string
  readonly message: string
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
}

/** One result's part of the answer. */
type Answer =
  | { readonly id: string; readonly record: ScoreRecord }
  /** The file could not be had; the caller decides whose fault that is. */
  | { readonly id: string; readonly error: Failure }

const FETCH_TIMEOUT_MS = 120_000
const FIRST_GUESS_SECONDS = 20

/**
 * The judge behind HTTP. `POST /score` answers 200 with a record for each result and the copies among
 * them; 400 for a bad body, 422 for a reference that cannot be used, 429 with Retry-After when all
 * places are taken, 503 for faults of this side. A caller that hangs up ends its work.
 */
export class ScoreService {
  readonly app: FastifyInstance
  readonly #options: ScoreServiceOptions
  readonly #modules: ScoreServiceModules
  readonly #places: Places
  readonly #running = new Set<Promise<unknown>>()
  #usualSeconds = FIRST_GUESS_SECONDS
  #draining = false

  constructor(options: ScoreServiceOptions, modules: ScoreServiceModules) {
    this.#options = options
    this.#modules = modules
    this.#places = new Places({ active: options.active ?? 1, waiting: options.waiting ?? 8 })
    this.app = Fastify({ bodyLimit: 256 * 1024, requestTimeout: 0, forceCloseConnections: true })
    this.app.get('/health', async () => ({
      status: this.#draining ? 'stopping' : 'healthy',
      service: 'scorer',
      active: this.#places.active,
      waiting: this.#places.waiting,
    }))
    this.app.post('/score', (request, reply) => this.#score(request, reply))
  }

  /** Takes no new work; resolves when running work has ended. */
  async drain(): Promise<void> {
    this.#draining = true
    await Promise.allSettled(this.#running)
  }

  async #score(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (this.#draining) {
      return refuse(reply, 503, 10, failure('STOPPING', 'the service is stopping', true))
    }
    const body = SCORE_REQUEST.safeParse(request.body)
    if (!body.success) {
      const message = z.prettifyError(body.error).slice(0, 500)
      return reply.code(400).send({ error: failure('BAD_REQUEST', message, false) })
    }
    const gone = new AbortController()
    const onClose = (): void => gone.abort(new DOMException('the caller hung up', 'AbortError'))
    reply.raw.once('close', onClose)
    try {
      const signal = AbortSignal.any([gone.signal, this.#modules.stopping])
      const turn = this.#places.take(signal)
      if (turn === undefined) {
        this.#modules.metrics.requests.inc({ task: body.data.task, outcome: 'refused' })
        const busy = failure('BUSY', 'all places are taken; try again later', true)
        return await refuse(reply, 429, Math.ceil(this.#usualSeconds), busy)
      }
      const job = this.#job(body.data, turn, signal)
      this.#running.add(job)
      const answer = await job.finally(() => this.#running.delete(job))
      return await reply.code(answer.status).send(answer.body)
    } finally {
      reply.raw.off('close', onClose)
    }
  }

  async #job(
    request: ScoreRequest,
    turn: Promise<() => void>,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const { metrics, clock, log } = this.#modules
    const { task } = request
    this.#count()
    let release = (): void => {}
    try {
      release = await turn
      const started = clock.monotonic()
      const body = await this.#work(request, deadline(this.#options.jobTimeoutMs, signal))
      const seconds = (clock.monotonic() - started) / 1000
      this.#usualSeconds = 0.7 * this.#usualSeconds + 0.3 * seconds
      metrics.requests.inc({ task, outcome: 'done' })
      metrics.seconds.observe({ task }, seconds)
      log.info(
        { event: 'results.judged', task, results: request.results.length, seconds },
        'judged results',
      )
      return { status: 200, body }
    } catch (error) {
      const { status, error: reason } = statusOf(error)
      metrics.requests.inc({ task, outcome: reason.code })
      log.warn({ event: 'judgement.failed', code: reason.code, err: error }, 'could not judge')
      return { status, body: { error: reason } }
    } finally {
      release()
      this.#count()
    }
  }

  async #work(request: ScoreRequest, signal: AbortSignal): Promise<unknown> {
    await using folder = await tempFolder('subreel-scorer-', this.#options.tempDir)
    const reference = await this.#file(request.reference, join(folder.path, 'reference'), signal)
    const files: ResultFile[] = []
    const missing = new Map<string, Failure>()
    await mapLimit(request.results, 4, async (result, index) => {
      try {
        const path = await this.#file(result, join(folder.path, `result-${index}`), signal)
        files.push({ id: result.id, path })
      } catch (error) {
        signal.throwIfAborted()
        missing.set(result.id, failureOf(error))
      }
    })
    const judged =
      files.length === 0 ? [] : await this.#judge(request, reference, files, folder.path, signal)
    return this.#answer(request, judged, missing)
  }

  async #judge(
    request: ScoreRequest,
    reference: string,
    results: readonly ResultFile[],
    folder: string,
    signal: AbortSignal,
  ): Promise<readonly Judged[]> {
    const { judge } = this.#modules
    const { every } = request
    if (request.task === 'compression') {
      const { threshold, codec, mode, targetMbps, formula } = request
      const task = {
        ...{ reference, results, threshold, mode, formula, every },
        ...(codec === undefined ? {} : { codec }),
        ...(targetMbps === undefined ? {} : { targetMbps }),
      }
      return judge.scoreCompression(task, signal)
    }
    const { scale, codecs, input } = request
    const given =
      input === undefined ? undefined : await this.#file(input, join(folder, 'input'), signal)
    const task = {
      ...{ reference, results, scale, every },
      ...(codecs === undefined ? {} : { codecs }),
      ...(given === undefined ? {} : { input: given }),
    }
    return judge.scoreUpscaling(task, signal)
  }

  #answer(
    request: ScoreRequest,
    judged: readonly Judged[],
    missing: ReadonlyMap<string, Failure>,
  ): unknown {
    const { metrics } = this.#modules
    const records = new Map(judged.map((one) => [one.id, one.record]))
    const results: Answer[] = []
    for (const { id } of request.results) {
      const record = records.get(id)
      if (record === undefined) {
        const error = missing.get(id) ?? failure('INTERNAL', 'no answer', true)
        results.push({ id, error })
        continue
      }
      const closed = record.gates.find((gate) => !gate.passed)?.code ?? 'none'
      metrics.results.inc({ task: request.task, gate: closed })
      results.push({ id, record })
    }
    // All came with one request, so the order in it stands for the order of arrival.
    const order = new Map(request.results.map((result, index) => [result.id, index]))
    const arrivals = judged.flatMap(({ id, fingerprint }) =>
      fingerprint === undefined ? [] : [{ id, arrivedAtMs: order.get(id) ?? 0, fingerprint }],
    )
    const copies = [...findCopies(arrivals, { identical: 'copy' })].map(([id, copy]) => ({
      id,
      ...copy,
    }))
    return { results, copies }
  }

  /** A local path that may be read, or a download below the cap. */
  async #file(
    file: FileRef | ({ readonly id: string } & FileRef),
    target: string,
    signal: AbortSignal,
  ): Promise<string> {
    if ('url' in file) {
      const { fetcher } = this.#modules
      const limits = { maxBytes: this.#options.maxInputBytes, timeoutMs: FETCH_TIMEOUT_MS, signal }
      await fetcher.download(file.url, target, limits)
      return target
    }
    const refused = new ScoringError(
      { code: 'SCORING_PATH_REFUSED' },
      'no such file below the folders that may be read: send a URL, or ask the operator',
    )
    // Links are followed first: what counts is where the file really is.
    const path = await realpath(file.path).catch(() => {
      throw refused
    })
    for (const folder of this.#options.localFolders) {
      const root = await realpath(folder).catch(() => undefined)
      if (root !== undefined && path.startsWith(root.endsWith(sep) ? root : root + sep)) return path
    }
    throw refused
  }

  #count(): void {
    this.#modules.metrics.active.set(this.#places.active)
    this.#modules.metrics.waiting.set(this.#places.waiting)
  }
}

const failure = (code: string, message: string, retryable: boolean): Failure => ({
  code,
  message,
  retryable,
})

function failureOf(error: unknown): Failure {
  if (error instanceof SubnetError) return failure(error.code, error.message, error.retryable)
  if (isAbort(error)) return failure('ABORTED', 'the work was ended', true)
  return failure('INTERNAL', 'something went wrong inside the scorer; see its log', true)
}

function statusOf(error: unknown): { readonly status: number; readonly error: Failure } {
  const reason = failureOf(error)
  const byCaller = error instanceof FetchError || reason.code === 'SCORING_REFERENCE_UNUSABLE'
  if (byCaller || reason.code === 'SCORING_PATH_REFUSED') return { status: 422, error: reason }
  if (reason.code === 'SCORING_REQUEST_INVALID') return { status: 400, error: reason }
  return { status: 503, error: reason }
}

function refuse(
  reply: FastifyReply,
  status: number,
  retryAfterSeconds: number,
  error: Failure,
): FastifyReply {
  return reply.code(status).header('retry-after', `${retryAfterSeconds}`).send({ error })
}
