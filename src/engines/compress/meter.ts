/** VMAF v0.6.1 (`base`) and the variant without gain for sharpening (`neg`). */
export const VMAF_MODELS = ['neg', 'base'] as const
export type VmafModel = (typeof VMAF_MODELS)[number]

/** Per-frame scores of one file against its reference, 0–100 each, by the models asked for. */
export type Quality = Readonly<Partial<Record<VmafModel, readonly number[]>>>

export interface MeasureOptions {
  /** Score every n-th frame; 1 scores all. */
  readonly every: number
  /** One model costs little more than half of both. */
  readonly models: readonly VmafModel[]
  readonly signal: AbortSignal
  /** Where temporary files may lie; the system's folder when absent. */
  readonly workDir?: string
}

/** Measures quality at the native size, frame by frame. */
export interface QualityMeter {
  /** Stable name for logs and results, e.g. `libvmaf`. */
  readonly name: string
  measure(reference: string, distorted: string, options: MeasureOptions): Promise<Quality>
  close?(): Promise<void>
}

/** How values of frames become one. */
export const POOLS = ['harmonic', 'mean'] as const
export type Pool = (typeof POOLS)[number]

/** One value for many frames. `harmonic` is libvmaf's n / Σ 1/(1+x) − 1. */
export function pool(frames: readonly number[], how: Pool): number {
  if (frames.length === 0) return 0
  if (how === 'mean') return frames.reduce((sum, x) => sum + x, 0) / frames.length
  return frames.length / frames.reduce((sum, x) => sum + 1 / (1 + x), 0) - 1
}
