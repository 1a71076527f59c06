/** Pooled values of one metric over a clip, with the series kept for charts. */
export interface MetricSeries {
  readonly mean: number
  /** libvmaf's: n / Σ 1/(1+x) − 1. */
  readonly harmonicMean: number
  readonly min: number
  readonly max: number
  readonly percentiles: {
    readonly p1: number
    readonly p5: number
    readonly p10: number
    readonly p50: number
  }
  readonly frames: readonly number[]
}

/** What became of one kind of detail, as shares of the reference's, both about 0–1. */
export interface KeptShare {
  /** Root mean square of the reference's contrast, in levels of 8 bits: how much there was to keep. */
  readonly strength: number
  readonly kept: number
  /** What plain transform coding would keep that leaves as much of the coarse contrast. */
  readonly expected: number
  /** By how many doublings of its step that coding would have to be coarser to keep no more than was kept. */
  readonly coarser: number
}

/** Luma's finest detail and chroma's; strength 0 where it was not compared. */
export interface Kept {
  readonly fine: KeptShare
  readonly colour: KeptShare
}

export interface VmafResult {
  readonly vmaf: MetricSeries
  readonly vmafNeg: MetricSeries
  readonly frames: number
  readonly width: number
  readonly height: number
  /** Which provider truly ran: `cpu`, `cuda:0`. */
  readonly device: string
  readonly models: readonly { readonly name: string; readonly sha256: string }[]
  /** −1 to 1: how far fine detail is the reference's; only where it was asked for. */
  readonly detail?: number
  /** Only where it was asked for. */
  readonly kept?: Kept
}

export interface VmafOptions {
  /** Score every n-th frame (1 = all). Motion still sees each scored frame's true predecessor. */
  readonly every?: number
  /** Also compare detail that is finer than so many pixels: the factor of an upscaling. */
  readonly detail?: number
  /** Also measure what was kept of fine detail and of colour, beside what an encoder keeps. */
  readonly kept?: boolean
  readonly signal?: AbortSignal
  readonly onFrame?: (done: number) => void
}

/** Frames of files in, VMAF v0.6.1 and v0.6.1-NEG out. One decode of the reference serves all results. */
export interface VmafScorer {
  score(reference: string, distorted: string, options?: VmafOptions): Promise<VmafResult>
  scoreMany(
    reference: string,
    distorted: readonly string[],
    options?: VmafOptions,
  ): Promise<readonly (VmafResult | { readonly error: unknown })[]>
  close(): Promise<void>
}

/** One check made before any model ran. */
export interface GateOutcome {
  readonly code: string
  readonly passed: boolean
  readonly detail: string
}

export const TASK_KINDS = ['compression', 'upscaling', 'generation', 'audio'] as const
export type TaskKind = (typeof TASK_KINDS)[number]

/** Everything that led to one number; anybody can run it again. */
export interface ScoreRecord {
  readonly version: 1
  readonly task: TaskKind
  readonly score: number
  /** One sentence. */
  readonly reason: string
  readonly inputs: {
    readonly reference: { readonly sha256: string; readonly sizeBytes: number }
    readonly result: { readonly sha256: string; readonly sizeBytes: number } | undefined
    readonly parameters: Readonly<Record<string, unknown>>
  }
  readonly gates: readonly GateOutcome[]
  readonly metrics: {
    readonly vmaf?: MetricSeries
    readonly vmafNeg?: MetricSeries
    readonly [name: string]: unknown
  }
  readonly models: readonly { readonly name: string; readonly sha256: string }[]
  readonly formula: { readonly name: string; readonly constants: Readonly<Record<string, number>> }
  readonly device: string | undefined
  readonly tool: { readonly name: 'subreel'; readonly version: string }
}

/** Codecs that tasks may ask for. */
export const VIDEO_CODECS = ['av1', 'hevc', 'h264', 'vp9'] as const
export type VideoCodec = (typeof VIDEO_CODECS)[number]
