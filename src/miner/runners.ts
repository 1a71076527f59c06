import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CompressParams, Engine, UpscaleParams, VideoResult } from '../engines/index.js'
import { type Clock, Deadline } from '../lib/clock.js'
import { FetchError, type GuardedFetcher } from '../lib/http/index.js'
import { isRetryable, type RetryPolicy, retry } from '../lib/retry.js'
import type { Rng } from '../lib/rng.js'
import { type MediaTools, probeVideo } from '../media/index.js'
import type { JobKind } from '../queue/types.js'
import { type Delivery, RESULT_FOLDERS } from '../storage/index.js'
import { MinerError } from './errors.js'
import type { MinerMetrics } from './metrics.js'
import type { CompressVideoTask, UpscaleVideoTask, VideoOutcome } from './tasks.js'

/** What a runner sees of the job around one video. */
export interface RunContext {
  readonly jobId: string
  readonly hotkey: string
  /** Time this video may take, in milliseconds. */
  readonly leftMs: number
  /** Empty, and removed afterwards. */
  readonly workDir: string
  readonly signal: AbortSignal
  /** 0–1 of this video. */
  readonly onProgress: (fraction: number) => void
}

/** Turns one video of a task into a delivered result. */
export interface VideoRunner<V> {
  /** Rejects with the reason while the engine or service cannot work. */
  ready(signal: AbortSignal): Promise<void>
  run(video: V, context: RunContext): Promise<VideoOutcome & { ok: true }>
  /** The most videos that can be worked on at once; undefined, or absent: no such limit. */
  capacity?(signal: AbortSignal): Promise<number | undefined>
  close(): Promise<void>
}

export interface LocalRunnerOptions<V, P> {
  readonly kind: JobKind & ('upscale' | 'compress')
  /** The engine's parameters for a video; `budgetMs` is the time it may take. */
  readonly paramsOf: (video: V, budgetMs: number) => P
  /** No input may be larger, in bytes. */
  readonly maxInputBytes: number
  /** An input arrives within this, in milliseconds. Default 120 s. */
  readonly fetchTimeoutMs?: number
  readonly tools?: MediaTools
}

export interface LocalRunnerModules<P> {
  readonly engine: Engine<P, VideoResult>
  /** For URLs that callers give. */
  readonly fetcher: GuardedFetcher
  readonly delivery: Delivery
  readonly clock: Clock
  readonly rng: Rng
  readonly metrics?: MinerMetrics
}

/** Fetching and delivering are a tenth of the work each, as progress goes. */
const FETCHED = 0.1
const WORKED = 0.9

/** A source that stumbles is asked again at once: of a task of several videos no other try is made. */
const FETCH: RetryPolicy = {
  ...{ attempts: 3, baseMs: 300, maxMs: 2_000 },
  retryable: (error) =>
    isRetryable(error) && !(error instanceof FetchError && error.code === 'FETCH_TIMEOUT'),
}
/** Share of the time after which a source that hangs is given up. */
const FETCH_SHARE = 0.8
/** Share of the remaining time that the engine may plan with, and that it gets. */
const BUDGET = 0.85
const ENGINE_SHARE = 0.95
/** A stage that begins at the last moment still gets this. */
const MIN_STAGE_MS = 1_000

/** Fetches, works and delivers in this process. */
export class LocalRunner<V extends { readonly url: string }, P> implements VideoRunner<V> {
  readonly #options: LocalRunnerOptions<V, P>
  readonly #modules: LocalRunnerModules<P>

  constructor(options: LocalRunnerOptions<V, P>, modules: LocalRunnerModules<P>) {
    this.#options = options
    this.#modules = modules
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#modules.engine.ready(signal)
  }

  async capacity(signal: AbortSignal): Promise<number | undefined> {
    return this.#modules.engine.capacity?.(signal)
  }

  async run(video: V, context: RunContext): Promise<VideoOutcome & { ok: true }> {
    const { engine, fetcher, delivery } = this.#modules
    const { kind, paramsOf, maxInputBytes, tools } = this.#options
    const { workDir, hotkey, onProgress, leftMs } = context
    const { clock, rng } = this.#modules
    const endMs = clock.monotonic() + leftMs
    const left = () => Math.max(MIN_STAGE_MS, endMs - clock.monotonic())
    const path = join(workDir, 'input')
    const fetchMs = Math.min(this.#options.fetchTimeoutMs ?? 120_000, left() * FETCH_SHARE)
    await this.#stage('fetch', left(), context.signal, async (signal) => {
      const limits = { maxBytes: maxInputBytes, timeoutMs: fetchMs, signal }
      await retry(FETCH, { clock, rng, signal }, () => fetcher.download(video.url, path, limits))
      await probeVideo(path, { ...tools, signal })
    })
    onProgress(FETCHED)
    const params = paramsOf(video, left() * BUDGET)
    const result = await this.#stage('engine', left() * ENGINE_SHARE, context.signal, (signal) =>
      engine.run(
        { path, params },
        {
          workDir,
          signal,
          onProgress: (fraction) => onProgress(FETCHED + fraction * (WORKED - FETCHED)),
        },
      ),
    )
    onProgress(WORKED)
    const delivered = await this.#stage('deliver', left(), context.signal, async (signal) => {
      // Never announce what a player could not open.
      await probeVideo(result.path, { ...tools, signal })
      await makeUnique(result.path)
      return delivery.deliver({ path: result.path, folder: RESULT_FOLDERS[kind], hotkey }, signal)
    })
    const { url, key, expiresAtMs, sizeBytes } = delivered
    return { ok: true, url, key, expiresAtMs, sizeBytes, engine: result.engine }
  }

  close(): Promise<void> {
    return this.#modules.engine.close()
  }

  /** @throws MinerError MINER_STAGE_LATE */
  async #stage<T>(
    stage: 'fetch' | 'engine' | 'deliver',
    timeoutMs: number,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock, metrics } = this.#modules
    const startMs = clock.monotonic()
    using limit = new Deadline(timeoutMs, signal)
    try {
      return await work(limit.signal)
    } catch (error) {
      if (!limit.expired) throw error
      throw new MinerError(
        { code: 'MINER_STAGE_LATE', stage, timeoutMs: Math.round(timeoutMs) },
        `${stage} took longer than the ${(timeoutMs / 1_000).toFixed(1)} s it had`,
        { cause: error },
      )
    } finally {
      const seconds = (clock.monotonic() - startMs) / 1_000
      metrics?.stage.observe({ kind: this.#options.kind, stage }, seconds)
    }
  }
}

export const upscaleParams = (video: UpscaleVideoTask): UpscaleParams => ({
  scale: video.scale,
  maxSizeBytes: video.maxSizeBytes,
})

export const compressParams = (video: CompressVideoTask, budgetMs: number): CompressParams => ({
  vmafThreshold: video.vmafThreshold,
  codec: video.codec,
  mode: video.mode,
  budgetMs: Math.round(budgetMs),
  ...(video.mode === 'VBR' ? { targetBitrateKbps: video.targetBitrateKbps } : {}),
})

const BOX_TYPE = Buffer.from('a2f1b7c85d3e4f60917c2e5b8d4a6f03', 'hex')

/**
 * Appends a `uuid` box of 16 random bytes, which players skip. Engines are deterministic: without it
 * two honest miners would hand in the same bytes, and validators take equal bytes for a copy.
 */
async function makeUnique(path: string): Promise<void> {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(40)
  head.write('uuid', 4, 'latin1')
  await appendFile(path, Buffer.concat([head, BOX_TYPE, randomBytes(16)]))
}
