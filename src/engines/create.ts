import { type Logger, silentLog } from '../lib/log.js'
import { ffmpegCapabilities, type MediaTools } from '../media/index.js'
import { createVmafScorer, type DeviceChoice } from '../scoring/metrics/index.js'
import { CompressEngine } from './compress/compress-engine.js'
import type { Effort } from './compress/encoders.js'
import { LibvmafMeter } from './compress/libvmaf-meter.js'
import type { QualityMeter } from './compress/meter.js'
import { ScorerMeter } from './compress/scorer-meter.js'
import { FirstReady } from './first-ready.js'
import { type GpuNeed, OnGpu } from './on-gpu.js'
import type {
  CompressParams,
  CompressResult,
  Engine,
  UpscaleParams,
  UpscaleResult,
} from './types.js'
import type { UpscaleCodec } from './upscale/profiles.js'
import { SpanEngine } from './upscale/span-engine.js'
import { Video2xEngine, type Video2xOptions } from './upscale/video2x.js'

export interface UpscalerOptions {
  /** `auto` takes Video2X where it works and SPAN elsewhere. Default `auto`. */
  readonly engine?: 'auto' | 'span' | 'video2x'
  /** Codec of results whose request names none. Default `hevc`. */
  readonly codec?: UpscaleCodec
  readonly device?: DeviceChoice
  readonly video2x?: Omit<Video2xOptions, 'tools' | 'codec'>
  /** Have each job hold a place on a GPU. */
  readonly gpu?: GpuNeed | undefined
  readonly tools?: MediaTools
  readonly log?: Logger
}

/** The upscaler that the settings ask for. Call `ready` before the first job. */
export function createUpscaler(
  options: UpscalerOptions = {},
): Engine<UpscaleParams, UpscaleResult> {
  const { engine = 'auto', codec = 'hevc', device, tools = {}, log = silentLog() } = options
  const span = () => new SpanEngine({ tools, device, codec })
  const video2x = () => new Video2xEngine({ ...options.video2x, tools, codec })
  const chosen =
    engine === 'auto'
      ? new FirstReady([video2x(), span()], log)
      : engine === 'span'
        ? span()
        : video2x()
  return placed(chosen, options.gpu)
}

const placed = <P, R>(engine: Engine<P, R>, need: GpuNeed | undefined): Engine<P, R> =>
  need === undefined ? engine : new OnGpu(engine, need)

export interface CompressorOptions {
  readonly device?: DeviceChoice
  readonly hardware?: boolean
  /** For tasks that ask for none; when absent, what the time allows. */
  readonly effort?: Effort | undefined
  /** Have each job hold a place on a GPU. */
  readonly gpu?: GpuNeed | undefined
  readonly tools?: MediaTools
  readonly log?: Logger
}

/**
 * The compressor, measuring with libvmaf where ffmpeg has it and with the validators' ONNX models
 * elsewhere.
 */
export async function createCompressor(
  options: CompressorOptions = {},
): Promise<Engine<CompressParams, CompressResult>> {
  const { tools = {}, log = silentLog(), device, hardware = false, effort } = options
  const { filters } = await ffmpegCapabilities(tools)
  const meter: QualityMeter = filters.has('libvmaf')
    ? new LibvmafMeter(tools)
    : new ScorerMeter(await createVmafScorer({ ...tools, device, log }))
  log.info({ event: 'meter.chosen', meter: meter.name }, 'chose what measures quality')
  const onGpu = hardware || (meter.name === 'onnx' && device !== 'cpu')
  return placed(
    new CompressEngine({ meter, tools, hardware, effort }),
    onGpu ? options.gpu : undefined,
  )
}
