import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { tempFolder } from '../../lib/temp-folder.js'
import {
  FrameReader,
  ffmpegCapabilities,
  type MediaInfo,
  type MediaTools,
  probeVideo,
  type VideoStreamInfo,
  writeFrames,
} from '../../media/index.js'
import { EngineError } from '../errors.js'
import { setMp4Rotation } from '../mp4-rotation.js'
import { soundArgs } from '../sound.js'
import { trialClip } from '../trial.js'
import type { Engine, EngineContext, UpscaleParams, UpscaleResult } from '../types.js'
import { profileArgs, toYuvFilter, UPSCALE_PROFILES, type UpscaleCodec } from './profiles.js'
import { checkUpscaled } from './result.js'
import { type SpanDevice, SpanModel, type SpanOptions } from './span-model.js'

export interface SpanEngineOptions extends SpanOptions {
  readonly tools?: MediaTools
  /** Codec of results whose request names none. Default `hevc`. */
  readonly codec?: UpscaleCodec
}

/**
 * The embedded upscaler: SPAN on onnxruntime, frame by frame from one ffmpeg to another. Memory does
 * not grow with the clip, and every frame that was decoded is in the result.
 */
export class SpanEngine implements Engine<UpscaleParams, UpscaleResult> {
  readonly name = 'span-onnx'
  readonly #options: SpanEngineOptions
  readonly #models = new Map<string, Promise<SpanModel>>()
  #device: SpanDevice | undefined

  constructor(options: SpanEngineOptions = {}) {
    this.#options = options
    this.#device = options.device
  }

  get #codec(): UpscaleCodec {
    return this.#options.codec ?? 'hevc'
  }

  /** Also upscales a few frames, from file to file. */
  async ready(signal: AbortSignal): Promise<void> {
    const { encoders } = await ffmpegCapabilities({ ...this.#options.tools, signal })
    const codec = this.#codec
    const { encoder } = UPSCALE_PROFILES[codec]
    if (!encoders.has(encoder)) {
      throw new EngineError(
        { code: 'ENGINE_ENCODER_MISSING', codec, tried: [encoder] },
        `ffmpeg has no ${encoder}: install an ffmpeg that has`,
      )
    }
    await this.#model(4)
    await using workDir = await tempFolder('subreel-span-')
    const path = await trialClip(workDir.path, { ...this.#options.tools, signal })
    await this.run({ path, params: { scale: 2 } }, { workDir: workDir.path, signal })
  }

  async run(
    input: { readonly path: string; readonly params: UpscaleParams },
    context: EngineContext,
  ): Promise<UpscaleResult> {
    const { signal, workDir, gpu } = context
    const { scale, codec = this.#codec } = input.params
    const info = await probeVideo(input.path, { ...this.#options.tools, signal })
    const { video } = info
    const path = join(workDir, 'upscaled.mp4')
    const model = await this.#model(scale, gpu)
    const frames = await this.#stream(model, input, info, path, codec, context).catch((error) => {
      // Of a session that failed nothing more is expected: the next task loads another.
      if (error instanceof EngineError && error.code === 'ENGINE_UNAVAILABLE')
        this.#models.delete(modelKey(scale, gpu))
      throw error
    })
    await setMp4Rotation(path, video.rotation)
    await checkUpscaled(path, video, frames, scale, { ...this.#options.tools, signal })
    const { size: sizeBytes } = await stat(path)
    const { maxSizeBytes } = input.params
    if (maxSizeBytes !== undefined && sizeBytes > maxSizeBytes) {
      throw new EngineError(
        { code: 'ENGINE_RESULT_TOO_LARGE', sizeBytes, maxSizeBytes },
        `the result has ${sizeBytes} bytes, at most ${maxSizeBytes} are accepted`,
      )
    }
    const [width, height] = [video.width * scale, video.height * scale]
    return { path, engine: this.name, width, height, frames, sizeBytes }
  }

  async #stream(
    model: SpanModel,
    input: { readonly path: string; readonly params: UpscaleParams },
    info: MediaInfo & { readonly video: VideoStreamInfo },
    output: string,
    codec: UpscaleCodec,
    { signal, onProgress }: EngineContext,
  ): Promise<number> {
    const { video } = info
    const { tools } = this.#options
    const { scale, maxSizeBytes } = input.params
    await using reader = await FrameReader.open(input.path, {
      ...tools,
      signal,
      pixelFormat: 'rgb24',
      width: video.width,
      height: video.height,
      autorotate: false,
    })
    await using writer = await writeFrames(output, {
      ...tools,
      signal,
      width: video.width * scale,
      height: video.height * scale,
      pixelFormat: 'rgb24',
      fps: video.fps,
      encoder: [
        ...['-vf', toYuvFilter(video)],
        ...profileArgs(codec, video),
        ...bitrateCap(maxSizeBytes, info),
        ...soundArgs(info),
      ],
      soundFrom: info.audio === undefined ? undefined : input.path,
    })
    const frame = new Uint8Array(reader.frameBytes)
    let frames = 0
    while (await reader.readInto(frame)) {
      signal.throwIfAborted()
      await writer.write(await model.upscale(frame, video.width, video.height))
      frames += 1
      onProgress?.(Math.min(1, frames / Math.max(1, video.frames)))
    }
    if (frames === 0) {
      throw new EngineError(
        { code: 'ENGINE_INPUT_UNSUPPORTED', what: 'no frame' },
        'the video holds no frame that can be decoded',
      )
    }
    await writer.end()
    return frames
  }

  #model(scale: 2 | 4, gpu?: number): Promise<SpanModel> {
    const key = modelKey(scale, gpu)
    const known = this.#models.get(key)
    if (known !== undefined) return known
    const loading = SpanModel.load(scale, { ...this.#options, device: this.#device, gpu })
    this.#models.set(key, loading)
    loading.then(
      ({ device }) => {
        // Once it ran on a GPU, the CPU is no way out: what took seconds would take minutes.
        if (device !== 'cpu' && this.#device === 'auto') this.#device = 'cuda'
      },
      () => this.#models.delete(key),
    )
    return loading
  }

  async close(): Promise<void> {
    const models = await Promise.allSettled(this.#models.values())
    this.#models.clear()
    for (const model of models) if (model.status === 'fulfilled') await model.value.close()
  }
}

const modelKey = (scale: number, gpu: number | undefined) => `${scale}@${gpu ?? 'any'}`

/** A ceiling on the rate that keeps the file below the limit, with a tenth to spare. */
function bitrateCap(maxSizeBytes: number | undefined, info: MediaInfo): readonly string[] {
  if (maxSizeBytes === undefined || info.durationSeconds <= 0) return []
  const kbps = Math.floor((maxSizeBytes * 8 * 0.9) / 1000 / info.durationSeconds)
  return kbps > 0 ? ['-maxrate', `${kbps}k`, '-bufsize', `${kbps}k`] : []
}
