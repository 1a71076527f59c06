import ffmpeg from 'fluent-ffmpeg'
import { MediaError } from './errors.js'
import type { MediaTools } from './ffmpeg.js'

export interface PosterOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
  readonly atSeconds?: number | undefined
  /** Width in pixels; the height follows. Default 640. */
  readonly width?: number | undefined
}

/** Writes one picture of one of our own files, by the file ending of `output`. */
export function makePoster(input: string, output: string, options: PosterOptions = {}) {
  const job = builder(input, options)
    .seekInput(options.atSeconds ?? 0)
    .frames(1)
    .videoFilters(`scale=${options.width ?? 640}:-2`)
    .output(output)
  return run(job, options.signal)
}

export interface CutOptions extends MediaTools {
  readonly signal?: AbortSignal | undefined
  readonly startSeconds: number
  readonly seconds: number
  readonly codec?: string | undefined
  readonly crf?: number | undefined
}

/** Cuts a piece out of one of our own files and encodes it again, exact to the frame. */
export function cutClip(input: string, output: string, options: CutOptions) {
  const job = builder(input, options)
    .seekInput(options.startSeconds)
    .duration(options.seconds)
    .videoCodec(options.codec ?? 'libx264')
    .outputOptions(['-crf', String(options.crf ?? 12), '-pix_fmt', 'yuv420p'])
    .output(output)
  return run(job, options.signal)
}

/**
 * The builder is for jobs on files we made: it leaves no control over the command line's sandbox, so
 * nothing of a stranger's may pass through it (see docs/adr/0030-two-ways-to-run-ffmpeg.md).
 */
function builder(input: string, options: MediaTools): ffmpeg.FfmpegCommand {
  const job = ffmpeg(input, { stdoutLines: 50 })
  return options.ffmpegPath === undefined ? job : job.setFfmpegPath(options.ffmpegPath)
}

function run(job: ffmpeg.FfmpegCommand, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const kill = () => job.kill('SIGKILL')
    signal?.addEventListener('abort', kill, { once: true })
    job.once('end', () => {
      signal?.removeEventListener('abort', kill)
      resolve()
    })
    job.once('error', (cause: Error, _stdout: string | null, stderr: string | null) => {
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted) return reject(signal.reason)
      reject(
        new MediaError(
          {
            code: 'MEDIA_PROCESS_FAILED',
            tool: 'ffmpeg',
            exitCode: null,
            signal: null,
            stderr: (stderr ?? '').slice(-2000),
          },
          `ffmpeg failed: ${cause.message}`,
          { cause },
        ),
      )
    })
    job.run()
  })
}
