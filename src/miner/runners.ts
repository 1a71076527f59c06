import { randomBytes } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CompressParams, Engine, UpscaleParams, VideoResult } from '../engines/index.js'
import { type Clock, deadline } from '../lib/clock.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import { type MediaTools, probeVideo } from '../media/index.js'
import type { JobKind } from '../queue/types.js'
import { type Delivery, RESULT_FOLDERS } from '../storage/index.js'
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
  readonly metrics?: MinerMetrics
}

/** Fetching and delivering are a tenth of the work each, as progress goes. */
const FETCHED = 0.1
const WORKED = 0.9

/** Share of the remaining time that the engine may plan with. */
const BUDGET = 0.85

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

  async run(video: V, context: RunContext): Promise<VideoOutcome & { ok: true }> {
    const { engine, fetcher, delivery } = this.#modules
    const { kind, paramsOf, maxInputBytes, tools } = this.#options
    const { workDir, signal, hotkey, onProgress, leftMs } = context
    const startMs = this.#modules.clock.monotonic()
    const path = join(workDir, 'input')
    await this.#stage('fetch', async () => {
      const timeoutMs = this.#options.fetchTimeoutMs ?? 120_000
      await fetcher.download(video.url, path, { maxBytes: maxInputBytes, timeoutMs, signal })
      await probeVideo(path, { ...tools, signal: deadline(60_000, signal) })
    })
    onProgress(FETCHED)
    const fetchedMs = this.#modules.clock.monotonic() - startMs
    // The upload needs its share of what the caller waits.
    const budgetMs = Math.max(1_000, (leftMs - fetchedMs) * BUDGET)
    const result = await this.#stage('engine', () =>
      engine.run(
        { path, params: paramsOf(video, budgetMs) },
        {
          workDir,
          signal,
          onProgress: (fraction) => onProgress(FETCHED + fraction * (WORKED - FETCHED)),
        },
      ),
    )
    onProgress(WORKED)
    const delivered = await this.#stage('deliver', async () => {
      // Never announce what a player could not open.
      await probeVideo(result.path, { ...tools, signal: deadline(60_000, signal) })
      await makeUnique(result.path)
      return delivery.deliver({ path: result.path, folder: RESULT_FOLDERS[kind], hotkey }, signal)
    })
    const { url, key, expiresAtMs, sizeBytes } = delivered
    return { ok: true, url, key, expiresAtMs, sizeBytes, engine: result.engine }
  }

  close(): Promise<void> {
    return this.#modules.engine.close()
  }

  async #stage<T>(stage: string, work: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#modules
    const startMs = clock.monotonic()
    const value = await work()
    const seconds = (clock.monotonic() - startMs) / 1_000
    metrics?.stage.observe({ kind: this.#options.kind, stage }, seconds)
    return value
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
