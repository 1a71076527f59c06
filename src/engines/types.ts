/** A file (unless it makes one from nothing) and parameters in, a result file out. One interface, many engines. */
export interface EngineContext {
  /** An empty folder of the job's own, deleted by the caller. */
  readonly workDir: string
  readonly signal: AbortSignal
  /** CUDA's number of the GPU that the job may use; the engine's own choice when absent. */
  readonly gpu?: number | undefined
  /** 0–1, from real work done. */
  readonly onProgress?: (fraction: number) => void
}

export interface Engine<P, R, Input = { readonly path: string }> {
  /** Stable name for results and logs, e.g. `span-onnx`, `video2x`. */
  readonly name: string
  /** Resolves when the engine could do work now; rejects with the reason. Also warms it up. */
  ready(signal: AbortSignal): Promise<void>
  run(input: Input & { readonly params: P }, context: EngineContext): Promise<R>
  /** The most jobs that this host's devices can run at once; undefined, or absent: no such limit. */
  capacity?(signal: AbortSignal): Promise<number | undefined>
  close(): Promise<void>
}

export interface UpscaleParams {
  readonly scale: 2 | 4
  /** Output codec; the profile table maps it to encoder settings. */
  readonly codec?: 'hevc' | 'h264' | 'av1'
  /** Refuse results larger than this. */
  readonly maxSizeBytes?: number
}

export const CODECS = ['av1', 'hevc', 'h264', 'vp9'] as const
export type Codec = (typeof CODECS)[number]

/**
 * What must reach the threshold: the harmonic mean over all frames (what validators pay for), the mean,
 * or the mean of every scene, so that the worst scene counts.
 */
export const COMPRESS_GOALS = ['harmonic', 'mean', 'worst-scene'] as const
export type CompressGoal = (typeof COMPRESS_GOALS)[number]

export const COMPRESS_TUNES = ['vmaf', 'none'] as const
export type CompressTune = (typeof COMPRESS_TUNES)[number]

export interface CompressParams {
  /** VMAF the result must reach, 0–100; of the NEG model unless `model` says otherwise. */
  readonly vmafThreshold: number
  readonly codec: Codec
  readonly mode: 'CRF' | 'VBR'
  /** Cap in VBR mode, kbit/s. */
  readonly targetBitrateKbps?: number
  /** Best answer by then, in milliseconds from the start. */
  readonly budgetMs?: number
  /** Default `harmonic`. */
  readonly goal?: CompressGoal
  /** Default `neg`. */
  readonly model?: 'neg' | 'base'
  /** How hard the encoder tries; by the budget when absent. */
  readonly effort?: 'quick' | 'normal' | 'thorough'
  /** `vmaf`, the default: x264 spends nothing on what VMAF does not see. `none`: its own settings. */
  readonly tune?: CompressTune
}

export interface VideoResult {
  readonly path: string
  readonly engine: string
  readonly width: number
  readonly height: number
  readonly frames: number
  readonly sizeBytes: number
}

export interface UpscaleResult extends VideoResult {}

export interface CompressResult extends VideoResult {
  readonly codec: Codec
  /** ffmpeg's name of the encoder that made it, e.g. `libsvtav1`. */
  readonly encoder: string
  /** Harmonic means over the final file against the input, whole, native size; undefined when the budget ended first. */
  readonly vmaf: number | undefined
  readonly vmafNeg: number | undefined
  /** The quality that was aimed at, in the goal's pool: compare with the threshold. */
  readonly quality: number | undefined
  readonly metThreshold: boolean
  /** Encodes made, in clip-lengths: samples count by their share. */
  readonly encodes: number
  /** Of a result with one CRF throughout. */
  readonly crf: number | undefined
  /** Scenes with a CRF of their own; 1 when one CRF serves all. */
  readonly scenes: number
}
