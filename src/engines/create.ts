import { type Logger, silentLog } from '../lib/log.js'
import { ffmpegCapabilities, type MediaTools } from '../media/index.js'
import { createVmafScorer, type DeviceChoice } from '../scoring/metrics/index.js'
import { CompressEngine } from './compress/compress-engine.js'
import { LibvmafMeter } from './compress/libvmaf-meter.js'
import type { QualityMeter } from './compress/meter.js'
import { ScorerMeter } from './compress/scorer-meter.js'
import { FirstReady } from './first-ready.js'
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
  if (engine === 'span') return span()
  if (engine === 'video2x') return video2x()
  return new FirstReady([video2x(), span()], log)
}

export interface CompressorOptions {
  readonly device?: DeviceChoice
  readonly hardware?: boolean
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
  const { tools = {}, log = silentLog(), device, hardware = false } = options
  const { filters } = await ffmpegCapabilities(tools)
  const meter: QualityMeter = filters.has('libvmaf')
    ? new LibvmafMeter(tools)
    : new ScorerMeter(await createVmafScorer({ ...tools, device, log }))
  log.info({ event: 'meter.chosen', meter: meter.name }, 'chose what measures quality')
  return new CompressEngine({ meter, tools, hardware })
}
