import type { Rng } from '../../../lib/rng.js'
import { FrameReader, type MediaTools, probeVideo } from '../../../media/index.js'
import { pieappAggregate } from '../../formulas/pooling.js'
import { MetricsError } from '../errors.js'
import { numbers, SessionManager, type SessionOptions } from '../session.js'

const MODEL = 'pieapp_patches'
const PATCH = 64
const STRIDE = 27
const FRAMES = 4
const PATCHES_PER_RUN = 64

export interface PieApp {
  readonly models: readonly { readonly name: string; readonly sha256: string }[]
  /** Perceptual error: 0 is the same, at most 2. Looks at four consecutive frames from a random start. */
  score(
    reference: string,
    distorted: string,
    options: { readonly rng: Rng; readonly signal?: AbortSignal },
  ): Promise<{ readonly value: number; readonly frames: readonly number[]; readonly start: number }>
  close(): Promise<void>
}

/**
 * PIE-APP (Prashnani et al. 2018) as pyiqa runs it: patches of 64 pixels every 27, weighted by what the
 * network says each patch counts. The model comes from scripts/export (docs/models.md).
 * Throws METRICS_MODEL_MISSING without it.
 */
export async function createPieApp(
  options: SessionOptions & MediaTools & { readonly modelsFolder: string },
): Promise<PieApp> {
  const sessions = await SessionManager.create(options)
  let model: { name: string; sha256: string }
  try {
    const { name, sha256 } = sessions.entry(MODEL)
    model = { name, sha256 }
  } catch (error) {
    await sessions.close()
    throw error
  }
  return {
    models: [model],
    close: () => sessions.close(),
    async score(reference, distorted, { rng, signal }) {
      const media = { ...options, signal }
      const { video } = await probeVideo(reference, media)
      const start = rng.int(Math.max(1, video.frames - FRAMES + 1))
      const size = { width: video.width, height: video.height }
      const wanted = { ...media, ...size, pixelFormat: 'rgb24' as const }
      await using ref = await FrameReader.open(reference, wanted)
      await using dist = await FrameReader.open(distorted, wanted)
      for (let i = 0; i < start; i += 1) await Promise.all([ref.skip(), dist.skip()])
      const frames: number[] = []
      const [a, b] = [new Uint8Array(ref.frameBytes), new Uint8Array(ref.frameBytes)]
      for (let i = 0; i < FRAMES; i += 1) {
        const both = await Promise.all([ref.readInto(a), dist.readInto(b)])
        if (!both.every(Boolean)) break
        frames.push(await scoreFrame(sessions, a, b, size.width, size.height))
      }
      if (frames.length === 0) {
        throw new MetricsError(
          { code: 'METRICS_NO_FRAMES', path: distorted },
          'the result has no frame at the place looked at',
        )
      }
      return { value: pieappAggregate(frames), frames, start }
    },
  }
}

/** Where patches of 64 start along an axis: every 27 pixels, whole ones only; one at 0 in less than 64. */
export function patchStarts(length: number): number[] {
  const count = Math.max(1, Math.floor((length - PATCH) / STRIDE) + 1)
  return Array.from({ length: count }, (_, i) => i * STRIDE)
}

/** Patch [3, 64, 64] of RGB bytes as BGR floats 0–255 into `out`; zeros outside a picture under 64 pixels. */
function fillPatch(
  out: Float32Array,
  rgb: Uint8Array,
  width: number,
  height: number,
  left: number,
  top: number,
): void {
  for (let y = 0; y < Math.min(PATCH, height - top); y += 1) {
    for (let x = 0; x < Math.min(PATCH, width - left); x += 1) {
      const from = 3 * ((top + y) * width + left + x)
      for (let c = 0; c < 3; c += 1) out[(c * PATCH + y) * PATCH + x] = rgb[from + 2 - c] ?? 0
    }
  }
}

async function scoreFrame(
  sessions: SessionManager,
  reference: Uint8Array,
  distorted: Uint8Array,
  width: number,
  height: number,
): Promise<number> {
  const corners = patchStarts(height).flatMap((top) =>
    patchStarts(width).map((left) => ({ left, top })),
  )
  const one = 3 * PATCH * PATCH
  let [weighted, total] = [0, 0]
  for (let start = 0; start < corners.length; start += PATCHES_PER_RUN) {
    const part = corners.slice(start, start + PATCHES_PER_RUN)
    const stack = (rgb: Uint8Array) => {
      const data = new Float32Array(part.length * one)
      for (const [i, { left, top }] of part.entries()) {
        fillPatch(data.subarray(i * one, (i + 1) * one), rgb, width, height, left, top)
      }
      return {
        type: 'float32' as const,
        dims: [part.length, 3, PATCH, PATCH],
        data: data.buffer,
      }
    }
    const feeds = { ref: stack(reference), dist: stack(distorted) }
    const result = await sessions.run(MODEL, feeds)
    const [errors, weights] = [numbers(result, 'error'), numbers(result, 'weight')]
    for (const [i, weight] of weights.entries()) {
      weighted += weight * (errors[i] ?? 0)
      total += weight
    }
  }
  return weighted / total
}
