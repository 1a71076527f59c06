import { SubnetError } from '../lib/errors.js'

/** Codes of media files and the tools that read and write them. */
export type MediaErrorData =
  /** A command line tool is not installed or not executable: install ffmpeg or set its path. */
  | { code: 'MEDIA_TOOL_MISSING'; tool: string }
  /** No GPU with enough memory answers: look at nvidia-smi, or set the device to `cpu`. */
  | { code: 'MEDIA_GPU_MISSING'; needMb: number; foundMb: readonly number[] }
  /** The sandbox was required and this machine has none: install bubblewrap, or allow `auto`. */
  | { code: 'MEDIA_SANDBOX_MISSING' }
  /** There is no readable regular file at the path: check the path and its permissions. */
  | { code: 'MEDIA_NOT_FOUND'; path: string }
  /** The file has no bytes: send the file again. */
  | { code: 'MEDIA_EMPTY'; path: string }
  /** The first bytes are those of no media container that is accepted: send MP4, MOV, Matroska, WebM or another listed container. */
  | { code: 'MEDIA_FORMAT_REFUSED'; path: string; found: string }
  /** The demuxer or decoder could make nothing of the file: it is damaged or not what it claims to be. */
  | { code: 'MEDIA_UNREADABLE'; path: string; detail: string }
  /** A video stream was needed and the file has none. */
  | { code: 'MEDIA_NO_VIDEO'; path: string }
  /** A property of the file exceeds what is processed: send a smaller or shorter file. */
  | { code: 'MEDIA_LIMIT_EXCEEDED'; limit: string; value: number; max: number }
  /** A media tool did not finish in its time and was killed. */
  | { code: 'MEDIA_TIMEOUT'; tool: string; timeoutMs: number }
  /** A media tool ended with a failure; `stderr` holds the last lines it wrote. */
  | {
      code: 'MEDIA_PROCESS_FAILED'
      tool: string
      exitCode: number | null
      signal: string | null
      stderr: string
    }
  /** A media tool wrote more than it may: its output is not used. */
  | { code: 'MEDIA_OUTPUT_TOO_LARGE'; tool: string; maxBytes: number }
  /** The pixel format has no known layout: use one of the listed formats. */
  | { code: 'MEDIA_PIXEL_FORMAT_UNKNOWN'; pixelFormat: string }
  /** A frame given to an encoder has the wrong number of bytes for its size and pixel format. */
  | { code: 'MEDIA_FRAME_SIZE_WRONG'; expectedBytes: number; actualBytes: number }
  /** A package of generated files cannot be used: it is no zip, lacks outputs.json, or holds names that lead elsewhere. Make it again. */
  | { code: 'MEDIA_PACKAGE_BAD'; detail: string }

export class MediaError extends SubnetError<MediaErrorData> {}
