import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine, GenerateParams, GenerateResult } from '../engines/index.js'
import type { Clock } from '../lib/clock.js'
import { unpackBigints } from '../lib/exact-json.js'
import type { GuardedFetcher } from '../lib/http/index.js'
import type { Rng } from '../lib/rng.js'
import type { ComfyPreview, Workflow } from '../media/comfyui/index.js'
import type { LiveEvent, LiveFeed } from '../queue/index.js'
import { type Delivery, putToUrl, RESULT_FOLDERS } from '../storage/index.js'
import type { MinerMetrics } from './metrics.js'
import type { RunContext, VideoRunner } from './runners.js'
import type { GenerateVideoTask, VideoOutcome } from './tasks.js'

export interface GenerateRunnerModules {
  readonly engine: Engine<GenerateParams, GenerateResult, unknown>
  /** For upload URLs that callers give. */
  readonly fetcher: GuardedFetcher
  readonly delivery: Delivery
  readonly live: LiveFeed
  readonly clock: Clock
  readonly rng: Rng
  readonly metrics?: MinerMetrics
  /** How long a task that was uploaded to its caller is remembered, in milliseconds. */
  readonly rememberMs: number
}

/** Uploading is a twentieth of the work, as progress goes. */
const RENDERED = 0.95
/** Previews are for looking at: no more than this, and none that is large. */
const PREVIEW_EVERY_MS = 500
const MAX_PREVIEW_BYTES = 256 * 1024

/** Runs a workflow and brings the result to where the caller wants it. */
export class GenerateRunner implements VideoRunner<GenerateVideoTask> {
  readonly #modules: GenerateRunnerModules

  constructor(modules: GenerateRunnerModules) {
    this.#modules = modules
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#modules.engine.ready(signal)
  }

  async run(video: GenerateVideoTask, context: RunContext): Promise<VideoOutcome & { ok: true }> {
    const { jobId } = context
    try {
      const outcome = await this.#run(video, context)
      this.#tell(jobId, { kind: 'ended', ok: true })
      return outcome
    } catch (error) {
      this.#tell(jobId, { kind: 'ended', ok: false })
      throw error
    }
  }

  close(): Promise<void> {
    return this.#modules.engine.close()
  }

  async #run(video: GenerateVideoTask, context: RunContext): Promise<VideoOutcome & { ok: true }> {
    const { engine, delivery, clock, rng, fetcher, rememberMs } = this.#modules
    const { jobId, hotkey, workDir, signal, onProgress } = context
    const result = await this.#stage('engine', () =>
      engine.run(
        {
          params: {
            workflow: unpackBigints(video.workflow) as Workflow,
            fileName: video.fileName,
            onSubmitted: (promptId) => this.#tell(jobId, { kind: 'submitted', promptId }),
            onPreview: this.#previews(jobId),
          },
        },
        {
          workDir,
          signal,
          onProgress: (fraction) => {
            onProgress(fraction * RENDERED)
            this.#tell(jobId, { kind: 'progress', fraction: fraction * RENDERED })
          },
        },
      ),
    )
    const { path, sizeBytes } = result
    const done = { ok: true, engine: result.engine, sizeBytes } as const
    return this.#stage('deliver', async () => {
      if (video.uploadUrl !== '') {
        await putToUrl(video.uploadUrl, path, { fetcher, clock, rng }, signal)
        return { ...done, url: '', expiresAtMs: clock.now() + rememberMs }
      }
      const owned = { folder: RESULT_FOLDERS.generate, hotkey }
      const facts = join(workDir, 'metadata.json')
      await writeFile(facts, JSON.stringify(result.metadata))
      const metadata = await delivery.deliver({ path: facts, ...owned }, signal)
      const { url, key, expiresAtMs } = await delivery.deliver({ path, ...owned }, signal)
      return { ...done, url, key, expiresAtMs, metadataUrl: metadata.url }
    })
  }

  #previews(jobId: string): (preview: ComfyPreview) => void {
    let sentMs = Number.NEGATIVE_INFINITY
    return ({ mime, bytes }) => {
      const nowMs = this.#modules.clock.monotonic()
      if (nowMs - sentMs < PREVIEW_EVERY_MS || bytes.length > MAX_PREVIEW_BYTES) return
      sentMs = nowMs
      this.#tell(jobId, { kind: 'preview', mime, image: bytes.toString('base64') })
    }
  }

  /** Nothing waits for it, and nothing fails with it. */
  #tell(jobId: string, event: LiveEvent): void {
    this.#modules.live.publish(jobId, event).catch(() => {})
  }

  async #stage<T>(stage: string, work: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#modules
    const startMs = clock.monotonic()
    const value = await work()
    metrics?.stage.observe({ kind: 'generate', stage }, (clock.monotonic() - startMs) / 1_000)
    return value
  }
}
