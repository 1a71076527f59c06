import { join } from 'node:path'
import type { MediaTools } from '../../media/index.js'
import type { Encoder, EncodeSettings } from './encoders.js'
import {
  type Pool,
  pool,
  type Quality,
  type QualityMeter,
  VMAF_MODELS,
  type VmafModel,
} from './meter.js'
import { encode, type Source } from './source.js'

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

  async encode(crf: number): Promise<Candidate> {
    const known = this.#trials.get(crf)
    if (known !== undefined) return known
    const { source, encoder, settings, tools, workDir, signal, label, clock } = this.options
    const path = join(workDir, `${label}-${crf}.mp4`)
    const started = clock.monotonic()
    const sizeBytes = await encode(
      source,
      path,
      encoder,
      { ...settings, crf },
      { ...tools, signal, onProgress: this.options.onProgress },
    )
    this.#encodeMs = Math.max(this.#encodeMs, clock.monotonic() - started)
    const trial = { crf, path, sizeBytes, measured: new Map<number, Quality>() }
    this.#trials.set(crf, trial)
    return trial
  }

  /** Quality of an encode; every frame and both models when `every` is 1. */
  async measure(crf: number, every: number): Promise<Quality> {
    await this.encode(crf)
    const trial = this.#trials.get(crf)
    const known = trial?.measured.get(every) ?? trial?.measured.get(1)
    if (trial === undefined || known !== undefined) return known ?? {}
    const { source, meter, objective, signal, clock } = this.options
    const started = clock.monotonic()
    const quality = await meter.measure(source.path, trial.path, {
      every,
      models: every === 1 ? VMAF_MODELS : [objective.model],
      signal,
    })
    this.#measureMs = Math.max(this.#measureMs, clock.monotonic() - started)
    trial.measured.set(every, quality)
    return quality
  }
}

/** A quality as the objective's one number; 0 when its model was not measured. */
export function pooled(quality: Quality, objective: Objective): number {
  return pool(quality[objective.model] ?? [], objective.pool)
}
