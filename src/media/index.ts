export { decodedFrameCount } from './count.js'
export * from './errors.js'
export {
  type FfmpegCapabilities,
  type FfmpegOptions,
  type FfmpegProgress,
  ffmpegCapabilities,
  type MediaCallOptions,
  type MediaTools,
  runFfmpeg,
  startFfmpeg,
} from './ffmpeg.js'
export { type CutOptions, cutClip, makePoster, type PosterOptions } from './fluent.js'
export { FrameWriter, type WriteFramesOptions, writeFrames } from './frame-writer.js'
export { FrameReader, type RawFrame, type ReadFramesOptions, readFrames } from './frames.js'
export { type Gpu, type GpuPlace, GpuPlaces, parseGpus, readGpus } from './gpus.js'
export { fileUrl, hostileInput, MAX_ALLOC_BYTES, MAX_PIXELS } from './hostile.js'
export { listPackets, type Packet } from './packets.js'
export { frameBytes, PIXEL_FORMATS, type PixelFormat } from './pixel-format.js'
export { type ProbeOptions, probe, probeVideo } from './probe.js'
export { type ProcessOptions, type RunOptions, runProcess, startProcess } from './process.js'
export { type SandboxMode, type SandboxTools, sandboxTools, tied } from './sandbox.js'
export { type SniffedFormat, sniff, sniffFile } from './sniff.js'
export type { MediaInfo, VideoStreamInfo } from './types.js'
