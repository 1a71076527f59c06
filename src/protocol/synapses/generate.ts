import { z } from 'zod'
import { defineSynapse } from '../synapse.js'
import { urlText } from './common.js'

const id = z.string().max(128)
const key = z.string().max(512)
const message = z.string().max(2000)

/** Runs a ComfyUI workflow and uploads the result to `upload_url`. */
export const VideoTask = defineSynapse({
  name: 'VideoTask',
  request: z.object({
    task_id: id.default(''),
    file_name: z.string().max(255).default(''),
    secret_key: key.default(''),
    workflow_params: z.record(z.string(), z.unknown()).default({}),
    upload_url: urlText.default(''),
    preview_url: urlText.default(''),
  }),
  response: z.object({
    /** HTTP-like: 200 accepted, 400, 403, 500. */
    status_code: z.int().default(0),
    video_url: urlText.default(''),
    metadata_url: urlText.default(''),
    error: message.default(''),
    proxy_comfy_url: urlText.default(''),
    proxy_comfy_port: z.int().min(0).max(65_535).default(8189),
    proxy_signature: z.string().max(1024).default(''),
    proxy_task_id: id.default(''),
    prompt_id: id.default(''),
    http_view_url: urlText.default(''),
  }),
})

export const GENERATION_STATUSES = [
  'pending',
  'submitted',
  'processing',
  'completed',
  'failed',
  'timeout',
] as const
export type GenerationStatus = (typeof GENERATION_STATUSES)[number]

const statusText = z.string().max(32)

/** Text to video, without a workflow. */
export const VideoGenerationTask = defineSynapse({
  name: 'VideoGenerationTask',
  request: z.object({
    task_id: id.optional(),
    prompt: z.string().max(20_000).optional(),
    secret_key: key.optional(),
    timeout_seconds: z.int().positive().default(3600),
  }),
  response: z.object({
    /** One of GENERATION_STATUSES; others are kept as sent. */
    status: statusText.default('pending'),
    s3_video_url: urlText.optional(),
    s3_metadata_url: urlText.optional(),
  }),
})

/** Asks how a generation task stands. */
export const TaskStatusCheck = defineSynapse({
  name: 'TaskStatusCheck',
  request: z.object({ task_id: id.optional(), secret_key: key.optional() }),
  response: z.object({
    /** One of GENERATION_STATUSES; others are kept as sent. */
    status: statusText.optional(),
    /** Percent, 0–100. */
    progress: z.number().min(0).max(100).default(0),
    /** Seconds left. */
    estimated_time: z.int().optional(),
    error_message: message.optional(),
  }),
})

/** Asks a miner to drop a task. */
export const TaskCancellation = defineSynapse({
  name: 'TaskCancellation',
  request: z.object({ task_id: id.optional(), secret_key: key.optional() }),
  response: z.object({ success: z.boolean().default(false), message: message.optional() }),
})

const room = z.object({
  available: z.boolean().default(true),
  queue_size: z.int().min(0).default(0),
  /** Seconds. */
  estimated_wait_time: z.int().min(0).default(0),
  max_concurrent_tasks: z.int().min(0).default(1),
})

/** Asks how much a miner can take. */
export const MinerCapacity = defineSynapse({
  name: 'MinerCapacity',
  request: z.object({}),
  response: room.extend({
    /** An extension of ours: each kind of work that the miner does, for itself. */
    lanes: z
      .object({ upscaling: room, compression: room, generation: room, audio: room })
      .partial()
      .optional(),
  }),
})

/** Asks whether a miner runs ComfyUI workflows. */
export const ComfySupport = defineSynapse({
  name: 'ComfySupport',
  request: z.object({}),
  response: z.object({ supports_comfy: z.boolean().default(false) }),
})

/** Tests connectivity: the miner answers with twice the input. */
export const Dummy = defineSynapse({
  name: 'Dummy',
  request: z.object({ dummy_input: z.int().default(0) }),
  response: z.object({ dummy_output: z.int().default(0) }),
})
