import type { AnySynapse } from '../synapse.js'
import { AudioTask } from './audio.js'
import { VideoCompression } from './compress.js'
import {
  ComfySupport,
  Dummy,
  MinerCapacity,
  TaskCancellation,
  TaskStatusCheck,
  VideoGenerationTask,
  VideoTask,
} from './generate.js'
import { Ping } from './ping.js'
import {
  VideoCompressionJob,
  VideoCompressionPoll,
  VideoUpscalingJob,
  VideoUpscalingPoll,
} from './poll.js'
import { VideoUpscaling } from './upscale.js'
import { LengthCheck, TaskWarrant } from './warrant.js'

export * from './audio.js'
export {
  type MinerResponse,
  MinerResponseSchema,
  type Version,
  VersionSchema,
} from './common.js'
export * from './compress.js'
export * from './generate.js'
export * from './ping.js'
export * from './poll.js'
export * from './upscale.js'
export * from './warrant.js'

/** Every synapse of the video and audio subnets, and the ping. */
export const SYNAPSES: readonly AnySynapse[] = [
  Ping,
  TaskWarrant,
  LengthCheck,
  VideoUpscaling,
  VideoCompression,
  VideoUpscalingJob,
  VideoCompressionJob,
  VideoUpscalingPoll,
  VideoCompressionPoll,
  VideoTask,
  VideoGenerationTask,
  TaskStatusCheck,
  TaskCancellation,
  MinerCapacity,
  ComfySupport,
  Dummy,
  AudioTask,
]
