import { join } from 'node:path'
import { must } from '../../lib/errors.js'
import type { MediaTools } from '../../media/index.js'
import type { Shot } from './analyse.js'
import type { Encoder, EncodeSettings } from './encoders.js'
import {
  type Pool,
  pool,
  type Quality,
  type QualityMeter,
  VMAF_MODELS,
  type VmafModel,
} from './meter.js'
import { encodeInChunks } from './pieces.js'
import { encode, type Source } from './source.js'

/** Chunks encoded at once: more would each get too few cores. */
const PARALLEL_CHUNKS = 2

/** What a search optimises: frames pooled how, of which model. */
export interface Objective {
  readonly pool: Pool
  readonly model: VmafModel
}

/** An encode on disk and what is known of it. */
export interface Candidate {
  readonly crf: number
  readonly path: string
  readonly sizeBytes: number
  /** By the step between scored frames; 1 is the whole truth. */
  readonly measured: ReadonlyMap<number, Quality>
}

export interface LabOptions {
  readonly source: Source
  readonly encoder: Encoder
  readonly settings: Omit<EncodeSettings, 'crf'>
  readonly meter: QualityMeter
  readonly objective: Objective
  readonly tools: MediaTools
  readonly workDir: string
  readonly signal: AbortSignal
  /** Encode these ranges side by side instead of the whole at once. */
  readonly chunks?: readonly Shot[] | undefined
  /** Names the files of this lab apart from another's in the same folder. */
  readonly label: string
  readonly clock: { monotonic(): number }
  /** Fraction of the running encode. */
  readonly onProgress?: ((fraction: number) => void) | undefined
}

interface Trial {
  readonly crf: number
  readonly path: string
  readonly sizeBytes: number
  readonly measured: Map<number, Quality>
}

/** Encodes and measures one source at chosen CRFs, never the same thing twice. */
export class Lab {
  readonly options: LabOptions
  readonly #trials = new Map<number, Trial>()
  #encodeMs = 0
  #measureMs = 0

  constructor(options: LabOptions) {
    this.options = options
  }

  /** Encodes made so far. */
  get encodes(): number {
    return this.#trials.size
  }

  get candidates(): readonly Candidate[] {
    return [...this.#trials.values()]
  }

  /** Milliseconds that the slowest encode and measurement so far took together. */
  get probeMs(): number {
    return this.#encodeMs + this.#measureMs
  }

  /** Milliseconds of the slowest encode so far. */
  get encodeMs(): number {
    return this.#encodeMs
  }

  /** Milliseconds of the slowest measurement so far. */
  get measureMs(): number {
    return this.#measureMs
  }

  /** `until` replaces the signal of this lab for one encode. */
  async encode(crf: number, until?: AbortSignal): Promise<Candidate> {
    const known = this.#trials.get(crf)
    if (known !== undefined) return known
    const { source, encoder, settings, tools, workDir, label, clock } = this.options
    const signal = until ?? this.options.signal
    const path = join(workDir, `${label}-${crf}.mp4`)
    const started = clock.monotonic()
    const { chunks, onProgress } = this.options
    const all = { ...settings, crf }
    const sizeBytes =
      chunks === undefined || chunks.length < 2
        ? await encode(source, path, encoder, all, { ...tools, signal, onProgress })
        : await encodeInChunks(source, chunks, path, encoder, all, {
            ...tools,
            signal,
            workDir,
            parallel: PARALLEL_CHUNKS,
          })
    this.#encodeMs = Math.max(this.#encodeMs, clock.monotonic() - started)
    const trial = { crf, path, sizeBytes, measured: new Map<number, Quality>() }
    this.#trials.set(crf, trial)
    return trial
  }

  /** Quality of an encode by the objective's model, of every n-th frame. */
  async measure(crf: number, every: number): Promise<void> {
    await this.encode(crf)
    const { measured } = this.#trial(crf)
    if (measured.has(every) || measured.has(1)) return
    measured.set(every, await this.#measure(crf, every, [this.options.objective.model]))
  }

  /** The whole truth of an encode: every frame, by both models, at once when neither is known. */
  async complete(crf: number): Promise<void> {
    await this.encode(crf)
    const { measured } = this.#trial(crf)
    const known = measured.get(1) ?? {}
    const missing = VMAF_MODELS.filter((model) => known[model] === undefined)
    if (missing.length === 0) return
    measured.set(1, { ...known, ...(await this.#measure(crf, 1, missing)) })
  }

  async #measure(crf: number, every: number, models: readonly VmafModel[]): Promise<Quality> {
    const { source, meter, signal, clock, workDir } = this.options
    const started = clock.monotonic()
    const { path } = this.#trial(crf)
    const quality = await meter.measure(source.path, path, { every, models, signal, workDir })
    this.#measureMs = Math.max(this.#measureMs, clock.monotonic() - started)
    return quality
  }

  #trial(crf: number): Trial {
    return must(this.#trials.get(crf), `trial at ${crf}`)
  }
}

/** Whether both models have seen every frame. */
export function isComplete(candidate: Candidate): boolean {
  const whole = candidate.measured.get(1)
  return VMAF_MODELS.every((model) => whole?.[model] !== undefined)
}

/** What a look at every n-th frame would have seen of a whole. */
export function thinned(quality: Quality, every: number): Quality {
  return Object.fromEntries(
    Object.entries(quality).map(([model, frames]) => [
      model,
      frames.filter((_, i) => i % every === 0),
    ]),
  )
}

/** A quality as the objective's one number; 0 when its model was not measured. */
export function pooled(quality: Quality, objective: Objective): number {
  return pool(quality[objective.model] ?? [], objective.pool)
}
