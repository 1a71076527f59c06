import { EngineError } from '../errors.js'
import type { CompressParams } from '../types.js'
import type { Effort, Encoder } from './encoders.js'
import type { Objective } from './lab.js'
import type { Source } from './source.js'

export function objectiveOf({ goal, model }: CompressParams): Objective {
  return { pool: goal === 'mean' ? 'mean' : 'harmonic', model: model ?? 'neg' }
}

/** Pixels that a normal encode gets through in a millisecond on two slow cores. */
const NORMAL_SPEED: Readonly<Record<string, number>> = {
  libx264: 25_000,
  libx265: 7_000,
  libsvtav1: 12_000,
  'libvpx-vp9': 5_000,
}
const HARDWARE_SPEED = 200_000
/** Of the budget, what one encode may take: there are two or three, each measured. */
const ENCODE_SHARE = 0.2

/** The effort to begin with: what was asked for, or `quick` when a normal encode looks too slow. */
export function firstEffort(params: CompressParams, encoder: Encoder, source: Source): Effort {
  if (params.effort !== undefined) return params.effort
  if (params.budgetMs === undefined) return 'normal'
  const speed = encoder.hardware ? HARDWARE_SPEED : (NORMAL_SPEED[encoder.name] ?? 5_000)
  const pixels = source.frames * source.video.width * source.video.height
  return pixels / speed > params.budgetMs * ENCODE_SHARE ? 'quick' : 'normal'
}

/** The cap of VBR mode in kbit/s; undefined in CRF mode. @throws EngineError ENGINE_INPUT_UNSUPPORTED */
export function capKbpsOf({ mode, targetBitrateKbps }: CompressParams): number | undefined {
  if (mode !== 'VBR') return undefined
  if (targetBitrateKbps === undefined || targetBitrateKbps <= 0) {
    throw new EngineError(
      { code: 'ENGINE_INPUT_UNSUPPORTED', what: 'bitrate' },
      'VBR needs a target bitrate above 0',
    )
  }
  return Math.round(targetBitrateKbps)
}

/** Bytes that the picture may have under the cap. */
export function sizeCap(params: CompressParams, { video, frames }: Source): number | undefined {
  const kbps = capKbpsOf(params)
  return kbps === undefined ? undefined : (kbps * 125 * frames * video.fps.den) / video.fps.num
}
