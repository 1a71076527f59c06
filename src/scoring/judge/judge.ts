import { sha256OfFile } from '../../lib/hash.js'
import { tempFolder } from '../../lib/temp-folder.js'
import { MediaError, type MediaTools, probe, probeVideo } from '../../media/index.js'
import { isOurFault } from '../blame.js'
import { ScoringError } from '../errors.js'
import type { CompressionFormula } from '../formulas/compression.js'
import { pieappAggregate } from '../formulas/pooling.js'
import { type Analysis, analyse } from '../gates/analyse.js'
import { failed, gate } from '../gates/codes.js'
import { CONTENT } from '../gates/content.js'
import type { Fingerprint } from '../gates/copies.js'
import { type CodecFamily, type FileExpectation, fileGates } from '../gates/file.js'
import { MetricsError } from '../metrics/index.js'
import type { GateOutcome, ScoreRecord, VmafOptions, VmafResult, VmafScorer } from '../types.js'
import { makeBaseline } from './baseline.js'
import { buildRecord, type CompressionParameters, type UpscalingParameters } from './record.js'
import { judgeCompression, judgeUpscaling, type UpscaleQuality, type Verdict } from './verdict.js'

/** A model that judges upscaled frames against the reference, 0 best: PIE-APP. */
export interface FrameQualityModel {
  readonly name: string
  readonly sha256: string
  /** One value per sampled frame. */
  frames(
    reference: string,
    result: string,
    options: { readonly signal?: AbortSignal | undefined },
  ): Promise<readonly number[]>
}

export interface JudgeModules {
  readonly vmaf: VmafScorer
  /** Programs and sandbox for decoding. */
  readonly media?: MediaTools
  /** When absent, upscaling is judged by the gain over bicubic; the record says which. */
  readonly pieapp?: FrameQualityModel
}

export interface JudgeOptions {
  /** Folder for working files; the system's when absent. */
  readonly tempDir?: string
  /** The most results judged beside one reference. */
  readonly maxResults?: number
  /**
   * Measure also what a gate refuses, where its frames can be paired: for a person who wants to see why.
   * The score stays 0. Default false: what is refused costs no model.
   */
  readonly measureRefused?: boolean
}

export interface ResultFile {
  /** How the caller names it: a hotkey, a uid, a file name. */
  readonly id: string
  readonly path: string
}

export interface CompressionTask {
  readonly reference: string
  readonly results: readonly ResultFile[]
  /** VMAF asked for, 0–100. */
  readonly threshold: number
  /** Codec asked for; any of the four when absent. */
  readonly codec?: CodecFamily
  readonly mode?: 'CRF' | 'VBR' | 'CBR'
  readonly targetMbps?: number
  readonly formula?: CompressionFormula
  /** Score every n-th frame; 1 when absent. */
  readonly every?: number
}

export interface UpscalingTask {
  /** The clip at full size, which the miner has not seen. */
  readonly reference: string
  /** What the miner was given; made from the reference by bicubic when absent. */
  readonly input?: string
  readonly results: readonly ResultFile[]
  readonly scale: 2 | 4
  readonly codecs?: readonly CodecFamily[]
  readonly every?: number
}

export interface Judged {
  readonly id: string
  readonly record: ScoreRecord
  /** For `compareFingerprints` with other miners' results; absent where nothing could be decoded. */
  readonly fingerprint: Fingerprint | undefined
}

/** Files in, explained scores out. All results of one reference share its decoding. */
export interface Judge {
  /**
   * @throws ScoringError where the fault is not a result's: no score must be counted then
   */
  scoreCompression(task: CompressionTask, signal?: AbortSignal): Promise<readonly Judged[]>
  scoreUpscaling(task: UpscalingTask, signal?: AbortSignal): Promise<readonly Judged[]>
}

const ANY_CODEC: readonly CodecFamily[] = ['av1', 'hevc', 'h264', 'vp9']
/** What players open without thinking; the reference network takes the first two. */
const UPSCALING_CODECS: readonly CodecFamily[] = ['hevc', 'av1', 'h264']
/** An upscaler may repeat its last frames: video2x loses two, and padding puts them back. */
const UPSCALING_FROZEN_TAIL = 2
/** What is lost by scaling down is drawn again, not carried over; SPAN reaches 0.69 of the limits. */
const UPSCALING_LENIENCY = { allowFrozenTail: UPSCALING_FROZEN_TAIL, toneFactor: 1.5 }
const NO_LENIENCY = { allowFrozenTail: 0, toneFactor: 1 }

/**
 * @example
 * const judge = createJudge({ vmaf: await createVmafScorer() })
 * const [judged] = await judge.scoreCompression({
 *   reference: 'a.mp4', results: [{ id: 'b', path: 'b.mp4' }], threshold: 90,
 * })
 * console.log(judged.record.score, judged.record.reason)
 */
export function createJudge(modules: JudgeModules, options: JudgeOptions = {}): Judge {
  const run = new Judgement(modules, options)
  return {
    scoreCompression: (task, signal) => run.compression(task, signal),
    scoreUpscaling: (task, signal) => run.upscaling(task, signal),
  }
}

/** A result on its way through the gates. */
interface Candidate {
  readonly file: ResultFile
  readonly sha256: string
  readonly sizeBytes: number
  readonly gates: readonly GateOutcome[]
  readonly codec: string | undefined
  readonly fingerprint: Fingerprint | undefined
}

interface Source {
  readonly path: string
  readonly info: Awaited<ReturnType<typeof probeVideo>>
  readonly sha256: string
}

class Judgement {
  readonly #modules: JudgeModules
  readonly #options: JudgeOptions

  constructor(modules: JudgeModules, options: JudgeOptions) {
    this.#modules = modules
    this.#options = options
  }

  async compression(task: CompressionTask, signal?: AbortSignal): Promise<readonly Judged[]> {
    this.#checkResults(task.results)
    checkRange('threshold', task.threshold, 0, 100)
    if (task.mode !== undefined && task.mode !== 'CRF') {
      checkRange('targetMbps', task.targetMbps ?? Number.NaN, 0.001, 10_000)
    }
    const reference = await this.#reference(task.reference, signal)
    const { video, sizeBytes } = reference.info
    const parameters: CompressionParameters = {
      threshold: task.threshold,
      codecs: task.codec === undefined ? ANY_CODEC : [task.codec],
      mode: task.mode ?? 'CRF',
      targetMbps: task.targetMbps,
      formula: task.formula ?? 'vidaio-compression',
      every: task.every ?? 1,
    }
    const candidates = await this.#gate(reference, task.results, signal, NO_LENIENCY, {
      codecs: parameters.codecs,
      width: video.width,
      height: video.height,
      size: { kind: 'smaller', inputBytes: sizeBytes },
      bitrate:
        task.targetMbps === undefined
          ? undefined
          : { mode: parameters.mode, targetMbps: task.targetMbps },
    })
    const measured = await this.#measure(
      reference,
      candidates,
      [],
      { every: parameters.every, kept: true },
      signal,
    )
    return candidates.map((candidate, index) => {
      const outcome = measured.results[index]
      const rate = candidate.sizeBytes / sizeBytes
      const metrics = outcome?.metrics
      const verdict = judgeCompression({
        gates: outcome?.gates ?? candidate.gates,
        vmaf: metrics?.vmaf,
        vmafNeg: metrics?.vmafNeg,
        kept: metrics?.kept,
        rate,
        threshold: task.threshold,
        formula: parameters.formula,
      })
      return this.#judged('compression', reference, candidate, verdict, metrics, parameters, {
        rate,
        ...(metrics?.kept === undefined ? {} : { kept: metrics.kept }),
      })
    })
  }

  async upscaling(task: UpscalingTask, signal?: AbortSignal): Promise<readonly Judged[]> {
    this.#checkResults(task.results)
    const reference = await this.#reference(task.reference, signal)
    await using folder = await tempFolder('subreel-judge-', this.#options.tempDir)
    const { input, baseline } = await makeBaseline(
      { reference: task.reference, input: task.input, scale: task.scale, folder: folder.path },
      reference.info.video,
      { ...this.#modules.media, signal },
    )
    const given = await probe(input, { ...this.#modules.media, signal })
    const parameters: UpscalingParameters = {
      scale: task.scale,
      codecs: task.codecs ?? UPSCALING_CODECS,
      contentLengthSeconds: reference.info.durationSeconds,
      inputBytes: given.sizeBytes,
      inputGiven: task.input !== undefined,
      every: task.every ?? 1,
    }
    const candidates = await this.#gate(reference, task.results, signal, UPSCALING_LENIENCY, {
      codecs: parameters.codecs,
      width: reference.info.video.width,
      height: reference.info.video.height,
      size: { kind: 'multiple', inputBytes: given.sizeBytes, scale: task.scale },
    })
    const { pieapp } = this.#modules
    const extra = pieapp === undefined ? [baseline] : []
    const measured = await this.#measure(
      reference,
      candidates,
      extra,
      { every: parameters.every, ...(pieapp === undefined ? { detail: task.scale } : {}) },
      signal,
    )
    return await Promise.all(
      candidates.map(async (candidate, index) => {
        const outcome = measured.results[index]
        const metrics = outcome?.metrics
        const quality =
          metrics === undefined
            ? undefined
            : await this.#upscaleQuality(
                reference.path,
                candidate,
                metrics,
                measured.extra[0],
                signal,
              )
        const verdict = judgeUpscaling({
          gates: outcome?.gates ?? candidate.gates,
          vmaf: metrics?.vmaf,
          vmafNeg: metrics?.vmafNeg,
          contentLengthSeconds: parameters.contentLengthSeconds,
          quality,
        })
        return this.#judged('upscaling', reference, candidate, verdict, metrics, parameters, {
          ...(quality === undefined ? {} : { quality }),
        })
      }),
    )
  }

  async #upscaleQuality(
    reference: string,
    candidate: Candidate,
    result: VmafResult,
    baseline: VmafResult | undefined,
    signal: AbortSignal | undefined,
  ): Promise<UpscaleQuality | undefined> {
    const { pieapp } = this.#modules
    if (pieapp !== undefined) {
      const frames = await pieapp.frames(reference, candidate.file.path, { signal })
      return { metric: 'pieapp', pieapp: pieappAggregate(frames) }
    }
    if (baseline?.detail === undefined || result.detail === undefined) return undefined
    return {
      metric: 'vmaf-neg-gain',
      baseline: baseline.vmafNeg.harmonicMean,
      detail: result.detail,
      baselineDetail: baseline.detail,
    }
  }

  #checkResults(results: readonly ResultFile[]): void {
    const max = this.#options.maxResults ?? 32
    if (results.length === 0 || results.length > max) {
      throw invalid(`results must hold 1 to ${max} files, got ${results.length}`)
    }
    const ids = new Set(results.map((result) => result.id))
    if (ids.size !== results.length) throw invalid('two results have the same id')
  }

  async #reference(path: string, signal: AbortSignal | undefined): Promise<Source> {
    try {
      const info = await probeVideo(path, { ...this.#modules.media, signal })
      const { frames, width, height } = info.video
      if (frames < CONTENT.minReferenceFrames) {
        throw unusable(`it has ${frames} frames; at least ${CONTENT.minReferenceFrames} are needed`)
      }
      if (Math.min(width, height) < 32) {
        throw unusable(`it is ${width}x${height}; VMAF needs 32 pixels a side`)
      }
      return { path, info, sha256: await sha256OfFile(path, signal) }
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof MediaError) throw unusable(error.message, error)
      throw error
    }
  }

  /** Container first, then one decode of everything that is still standing. */
  async #gate(
    reference: Source,
    results: readonly ResultFile[],
    signal: AbortSignal | undefined,
    leniency: { readonly allowFrozenTail: number; readonly toneFactor: number },
    expect: FileExpectation,
  ): Promise<readonly Candidate[]> {
    const probed = await Promise.all(
      results.map((file) => this.#probeResult(reference, file, expect, signal)),
    )
    const standing = probed.filter((candidate) => allPassed(candidate.gates))
    if (standing.length === 0) return probed
    let analysis: Analysis
    try {
      analysis = await analyse(
        reference,
        standing.map((candidate) => candidate.file.path),
        { ...this.#modules.media, signal },
      )
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof MediaError) throw unusable(error.message, error)
      throw error
    }
    return probed.map((candidate) => {
      const analysed = analysis.results[standing.indexOf(candidate)]
      if (analysed === undefined) return candidate
      if (analysed.error !== undefined && isOurFault(analysed.error)) throw analysed.error
      const gates =
        analysed.error === undefined
          ? analysed.comparison.gates(
              { reference: analysis.referenceFrames, result: analysed.frames },
              { ...leniency, sameCodec: candidate.codec === reference.info.video.codec },
            )
          : [failed('readable', `decoding stopped: ${sentence(analysed.error)}`)]
      return {
        ...candidate,
        gates: [...candidate.gates, ...gates],
        fingerprint: {
          sha256: candidate.sha256,
          frames: analysed.framesSha256,
          residual: analysed.comparison.sketch.values(),
        },
      }
    })
  }

  async #probeResult(
    reference: Source,
    file: ResultFile,
    expect: FileExpectation,
    signal: AbortSignal | undefined,
  ): Promise<Candidate> {
    const sha256 = await sha256OfFile(file.path, signal)
    const base = { file, sha256, sizeBytes: 0, codec: undefined, fingerprint: undefined }
    try {
      const info = await probe(file.path, { ...this.#modules.media, signal })
      return {
        ...base,
        sizeBytes: info.sizeBytes,
        codec: info.video?.codec,
        gates: fileGates(reference.info, info, expect),
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (isOurFault(error)) throw error
      return { ...base, gates: [failed('readable', sentence(error))] }
    }
  }

  /** Whether the models are worth running: the gates passed, or a person asked and the file decodes. */
  #worthMeasuring({ gates }: Candidate): boolean {
    if (allPassed(gates)) return true
    const decodes = gates.every(({ code, passed }) => passed || code !== 'readable')
    return this.#options.measureRefused === true && decodes
  }

  /** Runs the models once over the reference for everything worth it, and for `extra` files. */
  async #measure(
    reference: Source,
    candidates: readonly Candidate[],
    extra: readonly string[],
    how: Pick<VmafOptions, 'every' | 'detail' | 'kept'>,
    signal: AbortSignal | undefined,
  ): Promise<{
    readonly results: readonly (
      | { readonly metrics: VmafResult | undefined; readonly gates: readonly GateOutcome[] }
      | undefined
    )[]
    readonly extra: readonly VmafResult[]
  }> {
    const standing = candidates.filter((candidate) => this.#worthMeasuring(candidate))
    if (standing.length === 0) return { results: [], extra: [] }
    const paths = [...extra, ...standing.map((candidate) => candidate.file.path)]
    const scores = await this.#modules.vmaf.scoreMany(reference.path, paths, {
      ...how,
      ...(signal === undefined ? {} : { signal }),
    })
    const extras = extra.map((path, index) => {
      const score = scores[index]
      if (score === undefined || 'error' in score) throw metricFailed(path, score?.error)
      return score
    })
    const results = candidates.map((candidate) => {
      const index = standing.indexOf(candidate)
      if (index < 0) return undefined
      const score = scores[extra.length + index]
      if (score !== undefined && !('error' in score)) {
        return { metrics: score, gates: candidate.gates }
      }
      if (!allPassed(candidate.gates)) return undefined
      const error = score?.error
      if (error instanceof MediaError && !isOurFault(error)) {
        const gates = [...candidate.gates, failed('readable', sentence(error))]
        return { metrics: undefined, gates }
      }
      if (error instanceof MetricsError && error.code === 'METRICS_FRAME_COUNT_DIFFERS') {
        const gates = [...candidate.gates, gate('frame-count', false, sentence(error))]
        return { metrics: undefined, gates }
      }
      throw metricFailed(candidate.file.id, error)
    })
    return { results, extra: extras }
  }

  #judged(
    task: 'compression' | 'upscaling',
    reference: Source,
    candidate: Candidate,
    verdict: Verdict,
    metrics: VmafResult | undefined,
    parameters: CompressionParameters | UpscalingParameters,
    extra: Readonly<Record<string, unknown>>,
  ): Judged {
    const { pieapp } = this.#modules
    const record = buildRecord({
      task,
      verdict,
      reference: { sha256: reference.sha256, sizeBytes: reference.info.sizeBytes },
      result: { sha256: candidate.sha256, sizeBytes: candidate.sizeBytes },
      parameters,
      metrics,
      extra,
      models: [
        ...(metrics?.models ?? []),
        ...(task === 'upscaling' && pieapp !== undefined && metrics !== undefined
          ? [{ name: pieapp.name, sha256: pieapp.sha256 }]
          : []),
      ],
    })
    return { id: candidate.file.id, record, fingerprint: candidate.fingerprint }
  }
}

const allPassed = (gates: readonly GateOutcome[]): boolean => gates.every((g) => g.passed)

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error'
}

function checkRange(what: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) throw invalid(`${what} must be ${min} to ${max}`)
}

const invalid = (detail: string): ScoringError =>
  new ScoringError({ code: 'SCORING_REQUEST_INVALID', detail }, detail)

const unusable = (detail: string, cause?: unknown): ScoringError =>
  new ScoringError(
    { code: 'SCORING_REFERENCE_UNUSABLE', detail },
    `the reference cannot be judged against: ${detail}`,
    { cause },
  )

const metricFailed = (result: string, cause: unknown): ScoringError =>
  new ScoringError(
    { code: 'SCORING_METRIC_FAILED', result },
    'the models failed on a clip that decodes: score it again, do not count it as 0',
    { cause, retryable: true },
  )
