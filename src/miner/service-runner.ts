import { z } from 'zod'
import type { Clock } from '../lib/clock.js'
import { isAbort, SubnetError } from '../lib/errors.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import { MinerError } from './errors.js'
import type { RunContext, VideoRunner } from './runners.js'
import type { CompressVideoTask, UpscaleVideoTask, VideoOutcome } from './tasks.js'

export interface ServiceRunnerOptions<V> {
  readonly kind: 'upscale' | 'compress'
  /** Origin of the service. */
  readonly url: string
  readonly path: string
  /** The reference client's time-out, in milliseconds. */
  readonly timeoutMs: number
  readonly bodyOf: (video: V) => Readonly<Record<string, unknown>>
  /** How long the URLs that the service gives live, in seconds. */
  readonly expirySeconds: number
}

export interface ServiceRunnerModules {
  /** Reaches the operator's own service, private addresses included. */
  readonly fetcher: GuardedFetcher
  readonly clock: Clock
}

const replySchema = z.object({ uploaded_video_url: z.string().min(1).nullish() })
const MAX_REPLY_BYTES = 65_536

/** Has a service do the whole work: it fetches, works, stores and answers with a URL, or null. */
export class ServiceRunner<V extends { readonly url: string }> implements VideoRunner<V> {
  readonly #options: ServiceRunnerOptions<V>
  readonly #modules: ServiceRunnerModules
  #working = 0

  constructor(options: ServiceRunnerOptions<V>, modules: ServiceRunnerModules) {
    this.#options = options
    this.#modules = modules
  }

  /** While it works for us it is not asked: many such services answer nothing else meanwhile. */
  async ready(signal: AbortSignal): Promise<void> {
    if (this.#working === 0) await this.#askHealth(signal)
  }

  async #askHealth(signal: AbortSignal): Promise<void> {
    const { status } = await this.#send('GET', '/health', undefined, 10_000, signal)
    // Older services have no such route: to answer at all is what can be asked of them.
    if (status !== 200 && status !== 404) throw this.#down(`its /health answers ${status}`)
  }

  async run(video: V, context: RunContext): Promise<VideoOutcome & { ok: true }> {
    this.#working += 1
    try {
      return await this.#run(video, context)
    } finally {
      this.#working -= 1
    }
  }

  async #run(video: V, { signal, onProgress }: RunContext): Promise<VideoOutcome & { ok: true }> {
    const { path, bodyOf, timeoutMs, expirySeconds, kind } = this.#options
    onProgress(0)
    const sentMs = this.#modules.clock.now()
    const { status, text } = await this.#send('POST', path, bodyOf(video), timeoutMs, signal)
    if (status === 429 || status === 503) {
      throw new MinerError({ code: 'MINER_SERVICE_FAILED', status }, 'the service is busy', {
        retryable: true,
      })
    }
    const reply = replySchema.safeParse(status === 200 ? parseJson(text) : undefined)
    const url = reply.data?.uploaded_video_url
    if (url === undefined || url === null) {
      // A service whose engine is dead says so here, and fails every other video as well.
      await this.#askHealth(signal)
      throw new MinerError(
        { code: 'MINER_SERVICE_FAILED', status },
        `the ${kind} service answered ${status} without a result`,
      )
    }
    return { ok: true, url, expiresAtMs: sentMs + expirySeconds * 1_000, engine: 'service' }
  }

  async close(): Promise<void> {}

  async #send(
    method: 'GET' | 'POST',
    path: string,
    body: unknown,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    try {
      const response = await this.#modules.fetcher.fetch(new URL(path, this.#options.url).href, {
        method,
        timeoutMs,
        signal,
        maxBytes: MAX_REPLY_BYTES,
        // The service is silent while it works.
        minBytesPerSecond: 0,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      })
      const text = Buffer.concat(await response.body.toArray()).toString()
      return { status: response.status, text }
    } catch (error) {
      signal.throwIfAborted()
      if (isAbort(error)) throw error
      throw this.#down(error instanceof SubnetError ? error.message : 'it does not answer', error)
    }
  }

  #down(reason: string, cause?: unknown): MinerError {
    const { kind, url } = this.#options
    return new MinerError(
      { code: 'MINER_ENGINE_DOWN', kind },
      `the ${kind} service at ${new URL(url).host} does not work: ${reason}`,
      { cause },
    )
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Bodies of the reference services. */
export const upscaleBody = (video: UpscaleVideoTask) => ({
  payload_url: video.url,
  task_type: video.scale === 4 ? 'SD24K' : 'HD24K',
  maximum_optimized_size_mb: Math.round(video.maxSizeBytes / 1_000_000),
})

export const compressBody = (video: CompressVideoTask) => ({
  payload_url: video.url,
  vmaf_threshold: video.vmafThreshold,
  target_codec: video.codec,
  codec_mode: video.mode,
  target_bitrate: video.targetBitrateKbps / 1_000,
})
