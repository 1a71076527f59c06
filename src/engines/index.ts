export { CompressEngine, type CompressEngineOptions } from './compress/compress-engine.js'
export { LibvmafMeter } from './compress/libvmaf-meter.js'
export type { MeasureOptions, Quality, QualityMeter } from './compress/meter.js'
export { ScorerMeter } from './compress/scorer-meter.js'
export {
  type CompressorOptions,
  createCompressor,
  createUpscaler,
  type UpscalerOptions,
} from './create.js'
export * from './errors.js'
export {
  GenerateEngine,
  type GenerateEngineOptions,
  type GenerateParams,
  type GenerateResult,
} from './generate/generate-engine.js'
export { createMetrics, type EngineMetrics } from './metrics.js'
export { type GpuNeed, type GpuSettings, gpuNeed, OnGpu } from './on-gpu.js'
export {
  compressOwn,
  compressReference,
  upscaleOwn,
  upscaleReference,
} from './service/requests.js'
export {
  VideoService,
  type VideoServiceModules,
  type VideoServiceOptions,
} from './service/video-service.js'
export * from './types.js'
export { SpanEngine, type SpanEngineOptions } from './upscale/span-engine.js'
export { SpanModel, type SpanOptions } from './upscale/span-model.js'
export { Video2xEngine, type Video2xOptions } from './upscale/video2x.js'
