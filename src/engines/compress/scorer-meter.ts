import type { VmafScorer } from '../../scoring/types.js'
import type { MeasureOptions, Quality, QualityMeter } from './meter.js'

/** VMAF by the ONNX models that the validators run; needs no libvmaf in ffmpeg. */
export class ScorerMeter implements QualityMeter {
  readonly name = 'onnx'
  readonly #scorer: VmafScorer

  constructor(scorer: VmafScorer) {
    this.#scorer = scorer
  }

  async measure(
    reference: string,
    distorted: string,
    { every, signal }: MeasureOptions,
  ): Promise<Quality> {
    const { vmaf, vmafNeg } = await this.#scorer.score(reference, distorted, { every, signal })
    return { neg: vmafNeg.frames, base: vmaf.frames }
  }

  close(): Promise<void> {
    return this.#scorer.close()
  }
}
