import { InferenceSession, Tensor } from 'onnxruntime-node'
import { must } from '../../lib/errors.js'
import { gpuIndexes, ModelStore } from '../../scoring/metrics/index.js'
import { EngineError } from '../errors.js'
import { cut, paste, planTiles } from './tiles.js'

/**
 * SPAN sees 20 pixels around each pixel (measured: with 20 no value differs from the untiled
 * picture, with 16 a few differ by 1 of 255).
 */
const BORDER = 20
/** Largest kept side of a tile. A run needs about 4 kB per pixel read: 360² stays near 500 MB. */
const TILE = 320
const RGB = 3

/** `auto` takes a GPU when one works; `cuda` and `cuda:N` never fall back. */
export type SpanDevice = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

export interface SpanOptions {
  /** Threads of one run on the CPU; 0 leaves it to the runtime. */
  readonly threads?: number | undefined
  /** Default `cpu`. */
  readonly device?: SpanDevice | undefined
  /** Which GPU `auto` and `cuda` mean; the first when absent. */
  readonly gpu?: number | undefined
}

/** SPAN (48 channels) as a function on rgb24 pictures. */
export class SpanModel {
  readonly scale: 2 | 4
  /** Where it truly runs: `cpu` or `cuda:N`. */
  readonly device: string
  readonly #session: InferenceSession

  private constructor(scale: 2 | 4, device: string, session: InferenceSession) {
    this.scale = scale
    this.device = device
    this.#session = session
  }

  /**
   * Loads the shipped weights and checks their hash.
   * @throws EngineError ENGINE_UNAVAILABLE, MetricsError METRICS_MODEL_MISSING, METRICS_MODEL_ALTERED
   */
  static async load(scale: 2 | 4, options: SpanOptions = {}): Promise<SpanModel> {
    const store = await ModelStore.open()
    const model = await store.read(`spanx${scale}_ch48`)
    const { device = 'cpu', threads = 0 } = options
    // Where no driver shows a GPU, ONNX Runtime itself writes an error to the console before it throws.
    if (device !== 'cpu' && (device !== 'auto' || (await gpuIndexes()).length > 0)) {
      const deviceId = Number(device.split(':')[1] ?? options.gpu ?? 0)
      try {
        const session = await createSession(model, { name: 'cuda', deviceId }, threads)
        return new SpanModel(scale, `cuda:${deviceId}`, session)
      } catch (cause) {
        if (device !== 'auto') throw unavailable(device, cause, false)
      }
    }
    return new SpanModel(scale, 'cpu', await createSession(model, 'cpu', threads))
  }

  /** `width` x `height` rgb24 pixels in, `scale` times that out. Memory follows the tile, not the picture. @throws EngineError */
  async upscale(picture: Uint8Array, width: number, height: number): Promise<Uint8Array> {
    const { scale } = this
    const tiles = planTiles(width, height, TILE, BORDER)
    const only = tiles.length === 1
    if (only) return this.#run(picture, width, height)
    const target = {
      pixels: new Uint8Array(width * scale * height * scale * RGB),
      width: width * scale,
    }
    for (const { read, keep } of tiles) {
      const pixels = await this.#run(cut(picture, width, read, RGB), read.width, read.height)
      const inner = {
        x: (keep.x - read.x) * scale,
        y: (keep.y - read.y) * scale,
        width: keep.width * scale,
        height: keep.height * scale,
      }
      const to = { x: keep.x * scale, y: keep.y * scale }
      paste({ pixels, width: read.width * scale }, inner, target, to, RGB)
    }
    return target.pixels
  }

  async #run(pixels: Uint8Array, width: number, height: number): Promise<Uint8Array> {
    const rgb = new Tensor('uint8', pixels, [1, height, width, RGB])
    const { upscaled } = await this.#session.run({ rgb }).catch((cause: unknown) => {
      throw unavailable(this.device, cause, true)
    })
    return must(upscaled, 'the output of SPAN').data as Uint8Array
  }

  close(): Promise<void> {
    return this.#session.release()
  }
}

/** Of a device that fails in the middle, another worker may still make the result. */
const unavailable = (device: string, cause: unknown, retryable: boolean) =>
  new EngineError(
    { code: 'ENGINE_UNAVAILABLE', engine: 'span-onnx' },
    `SPAN cannot run on ${device}: ${cause instanceof Error ? cause.message : cause}`,
    { cause, retryable },
  )

function createSession(
  model: Uint8Array,
  provider: InferenceSession.ExecutionProviderConfig,
  threads: number,
): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    // Patterns would keep memory for every tile size that was ever seen.
    enableMemPattern: false,
  })
}
