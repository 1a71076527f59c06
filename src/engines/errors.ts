import { SubnetError } from '../lib/errors.js'

/** Codes thrown by `engines`. */
export type EngineErrorData =
  /** The file cannot be worked on (no video, size, pixel format): send another file. */
  | { code: 'ENGINE_INPUT_UNSUPPORTED'; what: string }
  /** The engine's program or model is missing or does not start: read the message, then `subreel doctor`. */
  | { code: 'ENGINE_UNAVAILABLE'; engine: string }
  /** This ffmpeg has no encoder for the codec: install one that has, or ask for another codec. */
  | { code: 'ENGINE_ENCODER_MISSING'; codec: string; tried: readonly string[] }
  /** The engine ended with a failure: the log holds its last lines. */
  | { code: 'ENGINE_FAILED'; engine: string; exitCode: number | undefined }
  /** The result differs from the input in what must be kept (frames, size, rate): it was discarded. */
  | { code: 'ENGINE_OUTPUT_INVALID'; what: string; expected: string; actual: string }
  /** The result is larger than the caller accepts: ask for a smaller scale or a higher limit. */
  | { code: 'ENGINE_RESULT_TOO_LARGE'; sizeBytes: number; maxSizeBytes: number }

export class EngineError extends SubnetError<EngineErrorData> {}

/** Codes that speak of the engine, not of the video: the next video would fare no better. */
export const ENGINE_DOWN_CODES: ReadonlySet<string> = new Set([
  'ENGINE_UNAVAILABLE',
  'ENGINE_ENCODER_MISSING',
  'ENGINE_FAILED',
  'METRICS_DEVICE_LOST',
  'METRICS_DEVICE_UNAVAILABLE',
  'METRICS_MODEL_ALTERED',
  'METRICS_MODEL_MISSING',
  'METRICS_MODEL_UNUSABLE',
  'MEDIA_GPU_MISSING',
  'MEDIA_TOOL_MISSING',
  'MEDIA_SANDBOX_MISSING',
])

/** Codes that may speak of either: several in a row, and the engine should be asked. */
export const ENGINE_DOUBT_CODES: ReadonlySet<string> = new Set([
  'ENGINE_OUTPUT_INVALID',
  'MEDIA_PROCESS_FAILED',
  'MEDIA_TIMEOUT',
  'MEDIA_UNREADABLE',
  'METRICS_RUN_FAILED',
  'INTERNAL',
])
