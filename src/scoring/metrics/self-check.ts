import { must } from '../../lib/errors.js'
import { SeededRng } from '../../lib/rng.js'
import { MetricsError } from './errors.js'
import { motionFeature } from './pool.js'
import { type DeviceChoice, numbers, SessionManager, type SessionOptions } from './session.js'

const WIDTH = 320
const HEIGHT = 180
const FRAMES = 6
/** Most that CPU and GPU may differ, in VMAF points. Convolutions in TF32 miss it by far. */
export const MAX_DIFFERENCE = 0.01

export interface SelfCheck {
  /** The provider that truly ran, e.g. `cuda:0`. */
  readonly device: string
  /** Largest difference of a frame's score between CPU and device, v0.6.1 and NEG alike. */
  readonly maxDifference: number
  readonly scores: { readonly cpu: readonly number[]; readonly device: readonly number[] }
}

/**
 * Scores a built-in clip on the CPU and on a GPU. Throws METRICS_DEVICE_UNAVAILABLE without that GPU and
 * METRICS_SELF_CHECK_FAILED when the scores differ by more than 0.01: its scores must not be used then.
 */
export async function selfCheckGpu(
  options: Omit<SessionOptions, 'device'> & { readonly device?: DeviceChoice } = {},
): Promise<SelfCheck> {
  const clip = builtInClip()
  await using cpu = await SessionManager.create({ ...options, device: 'cpu', lanes: 1 })
  const expected = await scoreClip(cpu, clip, '')
  await using gpu = await SessionManager.create({ ...options, device: options.device ?? 'cuda' })
  const found = await scoreClip(gpu, clip, '_batched')
  return compareScores(expected.scores, found.scores, found.device)
}

/** The verdict on two lists of scores. Throws METRICS_SELF_CHECK_FAILED. */
export function compareScores(
  cpu: readonly number[],
  device: readonly number[],
  name: string,
): SelfCheck {
  const differences = cpu.map((score, i) => Math.abs(score - (device[i] ?? Number.NaN)))
  const maxDifference = Math.max(...differences)
  if (!(maxDifference <= MAX_DIFFERENCE)) {
    throw new MetricsError(
      { code: 'METRICS_SELF_CHECK_FAILED', device: name, difference: maxDifference },
      `${name} scores a built-in clip ${maxDifference.toFixed(4)} points away from the CPU; at most ${MAX_DIFFERENCE} is allowed`,
    )
  }
  return { device: name, maxDifference, scores: { cpu, device } }
}

interface Clip {
  readonly reference: readonly Uint8Array[]
  readonly distorted: readonly Uint8Array[]
}

/** Soft waves that move, with blocks and noise on top in the distorted copy. The same on every machine. */
export function builtInClip(): Clip {
  const rng = new SeededRng('subreel self-check')
  const noise = rng.bytes(WIDTH * HEIGHT)
  const reference = Array.from({ length: FRAMES }, (_, t) =>
    Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => {
      const x = (i % WIDTH) + 3 * t
      const y = Math.floor(i / WIDTH) + t
      const wave = Math.sin(x / 9) + Math.sin(y / 5) + Math.sin((x + y) / 23)
      return 128 + 30 * wave + ((noise[(i * 7 + t * 31) % noise.length] ?? 0) >> 5)
    }),
  )
  const distorted = reference.map((frame) =>
    frame.map((value, i) => {
      const left = frame[i - (i % 4)] ?? value
      return (value + 2 * left) / 3 + ((noise[i] ?? 0) >> 6)
    }),
  )
  return { reference, distorted }
}

export async function scoreClip(
  sessions: SessionManager,
  clip: Clip,
  suffix: '' | '_batched',
): Promise<{ readonly scores: readonly number[]; readonly device: string }> {
  const sad = new Map<number, number>()
  const features: number[][] = []
  const frame = (of: readonly Uint8Array[], t: number) => ({
    type: 'uint8' as const,
    dims: [1, 1, HEIGHT, WIDTH],
    data: must(of[t], 'frame').slice().buffer,
  })
  let device = ''
  for (let t = 0; t < FRAMES; t += 1) {
    const feeds = { ref: frame(clip.reference, t), dist: frame(clip.distorted, t) }
    const result = await sessions.run(`vmaf_features_8bit${suffix}`, feeds)
    features.push([...numbers(result, 'features')])
    device = result.device
    if (t === 0) continue
    const pair = { prev: frame(clip.reference, t - 1), ref: frame(clip.reference, t) }
    const moved = numbers(await sessions.run(`vmaf_motion_8bit${suffix}`, pair), 'sad')
    sad.set(t, moved[0] ?? Number.NaN)
  }
  const rows = features.flatMap((values, t) =>
    [0, 5].flatMap((at) => {
      const [adm = Number.NaN, ...vif] = values.slice(at, at + 5)
      return [adm, motionFeature(sad, t), ...vif]
    }),
  )
  const scored = await sessions.run('vmaf_score', {
    features: {
      type: 'float64',
      dims: [2 * FRAMES, 6],
      data: new Float64Array(rows).buffer,
    },
  })
  return { scores: [...numbers(scored, 'vmaf')], device }
}
