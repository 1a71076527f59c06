import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, SystemClock } from '../../lib/clock.js'
import { type MediaTools, probeVideo } from '../../media/index.js'
import { EngineError } from '../errors.js'
import { mux } from '../mux.js'
import type { CompressParams, CompressResult, Engine, EngineContext } from '../types.js'
import { type Analysis, analyse } from './analyse.js'
import { EncoderShelf } from './choose-encoder.js'
import type { Effort, Encoder } from './encoders.js'
import { type Found, findCrf } from './find-crf.js'
import { Lab, type Objective } from './lab.js'
import { pool, type QualityMeter } from './meter.js'
import { type CrfModel, featuresOf, loadCrfModel, predictStart } from './predict.js'
import type { SearchGoal } from './search.js'
import { checkSource, type Source } from './source.js'

export interface CompressEngineOptions {
  readonly meter: QualityMeter
  readonly tools?: MediaTools
  readonly clock?: Clock
  /** Use a GPU encoder when one works: faster, more bytes. Default false. */
  readonly hardware?: boolean
}

/** Above the threshold, so that another meter's last digits do not turn a pass into a miss. */
const MARGIN = 0.05
/** What may be given away above that before another probe is worth it. */
const TOLERANCE = 0.3
const MAX_ENCODES = 6

/** Searches the cheapest encode that meets a VMAF threshold. */
export class CompressEngine implements Engine<CompressParams, CompressResult> {
  readonly name = 'vmaf-search'
  readonly #options: CompressEngineOptions
  readonly #tools: MediaTools
  readonly #clock: Clock
  readonly #shelf: EncoderShelf
  #model: Promise<CrfModel> | undefined

  constructor(options: CompressEngineOptions) {
    this.#options = options
    this.#tools = options.tools ?? {}
    this.#clock = options.clock ?? new SystemClock()
    this.#shelf = new EncoderShelf(this.#tools)
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.#shelf.pick('h264', false, signal)
  }

  async run(
    input: { readonly path: string; readonly params: CompressParams },
    context: EngineContext,
  ): Promise<CompressResult> {
    const started = this.#clock.monotonic()
    const { params, path } = input
    const { signal, workDir } = context
    const info = await probeVideo(path, { ...this.#tools, signal })
    checkSource(info.video)
    const analysis = await analyse(path, info.video, { ...this.#tools, signal })
    const source: Source = { path, frames: analysis.frames, video: info.video }
    const encoder = await this.#shelf.pick(params.codec, this.#options.hardware ?? false, signal)
    const lab = this.#lab(source, encoder, params, context)
    const deadline = started + (params.budgetMs ?? Number.POSITIVE_INFINITY)
    const found = await findCrf(lab, {
      goal: await this.#goal(params, encoder, analysis),
      mayTake: (ms) => this.#clock.monotonic() + ms < deadline,
      maxEncodes: MAX_ENCODES,
      maxSizeBytes: maxSize(params, source),
    })
    const output = join(workDir, 'compressed.mp4')
    const partial = join(workDir, 'muxed.mp4')
    await mux(found.candidate.path, path, info, partial, { ...this.#tools, signal })
    await rename(partial, output)
    context.onProgress?.(1)
    return this.#result(output, found, lab, encoder, source)
  }

  async #goal(params: CompressParams, encoder: Encoder, analysis: Analysis): Promise<SearchGoal> {
    this.#model ??= loadCrfModel()
    const target = Math.min(99, params.vmafThreshold + MARGIN)
    const features = featuresOf(analysis.facts)
    return {
      ...encoder.grid,
      ...predictStart(await this.#model, encoder, effortOf(params), features, target),
      target,
      tolerance: TOLERANCE,
    }
  }

  #lab(source: Source, encoder: Encoder, params: CompressParams, context: EngineContext): Lab {
    let encodes = 0
    const lab: Lab = new Lab({
      source,
      encoder,
      settings: { effort: effortOf(params), ...capOf(params) },
      meter: this.#options.meter,
      objective: objectiveOf(params),
      tools: this.#tools,
      workDir: context.workDir,
      signal: context.signal,
      label: 'whole',
      clock: this.#clock,
      onProgress: (fraction) => {
        encodes = Math.max(encodes, lab.encodes + fraction)
        context.onProgress?.(encodes / (encodes + 1.5))
      },
    })
    return lab
  }

  async #result(
    path: string,
    found: Found,
    lab: Lab,
    encoder: Encoder,
    source: Source,
  ): Promise<CompressResult> {
    const { sizeBytes } = await stat(path).then(({ size }) => ({ sizeBytes: size }))
    const whole = found.candidate.measured.get(1)
    const { width, height } = source.video
    return {
      path,
      engine: this.name,
      encoder: encoder.name,
      codec: encoder.codec,
      width,
      height,
      frames: source.frames,
      sizeBytes,
      vmaf: whole?.base === undefined ? undefined : pool(whole.base, 'harmonic'),
      vmafNeg: whole?.neg === undefined ? undefined : pool(whole.neg, 'harmonic'),
      quality: found.quality,
      metThreshold: found.passed,
      encodes: lab.encodes,
      crf: found.candidate.crf,
      scenes: 1,
    }
  }

  async close(): Promise<void> {
    await this.#options.meter.close?.()
  }
}

function objectiveOf({ goal, model }: CompressParams): Objective {
  return { pool: goal === 'mean' ? 'mean' : 'harmonic', model: model ?? 'neg' }
}

function effortOf({ effort }: CompressParams): Effort {
  return effort ?? 'normal'
}

function capOf({ mode, targetBitrateKbps }: CompressParams): { readonly capKbps?: number } {
  if (mode !== 'VBR') return {}
  if (targetBitrateKbps === undefined || targetBitrateKbps <= 0) {
    throw new EngineError(
      { code: 'ENGINE_INPUT_UNSUPPORTED', what: 'bitrate' },
      'VBR needs a target bitrate above 0',
    )
  }
  return { capKbps: Math.round(targetBitrateKbps) }
}

function maxSize(params: CompressParams, { video, frames }: Source): number | undefined {
  const { capKbps } = capOf(params)
  if (capKbps === undefined) return undefined
  return (capKbps * 125 * frames * video.fps.den) / video.fps.num
}
