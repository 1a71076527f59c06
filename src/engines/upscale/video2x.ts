import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { tempFolder } from '../../lib/temp-folder.js'
import {
  fileUrl,
  hostileInput,
  MediaError,
  type MediaTools,
  probeVideo,
  runFfmpeg,
  runProcess,
  tied,
  type VideoStreamInfo,
} from '../../media/index.js'
import { EngineError } from '../errors.js'
import { setMp4Rotation } from '../mp4-rotation.js'
import { mux } from '../mux.js'
import { trialClip } from '../trial.js'
import type { Engine, EngineContext, UpscaleParams, UpscaleResult } from '../types.js'
import { UPSCALE_PROFILES, type UpscaleCodec } from './profiles.js'
import { checkUpscaled } from './result.js'
import { parseProgress, readFeatures, type Video2xFeatures, video2xArgs } from './video2x-cli.js'

export interface Video2xOptions {
  /** Default `video2x` from the search path. */
  readonly path?: string
  /** Vulkan device by its number in `video2x --list-devices`; Video2X's choice when absent. */
  readonly device?: number | undefined
  /** A model of Video2X's realesrgan processor; it must have the scale that is asked for. */
  readonly model?: string
  readonly tools?: MediaTools
  /** Codec of results whose request names none. Default `hevc`. */
  readonly codec?: UpscaleCodec
  /** Environment for the Vulkan loader, e.g. VK_ICD_FILENAMES. */
  readonly env?: Readonly<Record<string, string>>
}

const CALIBRATION_FRAMES = 12
const MAX_RUNS = 3
const MAX_LOG_BYTES = 64 * 1024 * 1024

/**
 * Video2X 6 as a child process. It drops what its decoder still holds at the end of a file, often the
 * last two frames. So it gets a lossless copy without B-frames, its last frame repeated as often as
 * a trial at start showed frames to be lost; the count is checked after each job.
 */
export class Video2xEngine implements Engine<UpscaleParams, UpscaleResult> {
  readonly name = 'video2x'
  readonly #options: Video2xOptions
  #features: Video2xFeatures | undefined
  /** Frames that Video2X loses at the end. */
  #lost = 0

  constructor(options: Video2xOptions = {}) {
    this.#options = options
  }

  /** Also upscales a few frames, to learn how many this build loses. */
  async ready(signal: AbortSignal): Promise<void> {
    this.#features = await this.#probe(signal)
    await using workDir = await tempFolder('subreel-video2x-')
    await this.#calibrate(workDir.path, signal)
  }

  async #calibrate(workDir: string, signal: AbortSignal): Promise<void> {
    const tools = { ...this.#options.tools, signal }
    const trial = { frames: CALIBRATION_FRAMES, encoder: LOSSLESS }
    const [clip, output] = [await trialClip(workDir, tools, trial), join(workDir, 'upscaled.mp4')]
    await this.#upscale(clip, output, 2, 'h264', { workDir, signal })
    const { video } = await probeVideo(output, tools)
    this.#lost = Math.max(0, CALIBRATION_FRAMES - video.frames)
  }

  async run(
    input: { readonly path: string; readonly params: UpscaleParams },
    context: EngineContext,
  ): Promise<UpscaleResult> {
    const { signal, workDir } = context
    const { scale, codec = this.#options.codec ?? 'hevc', maxSizeBytes } = input.params
    const tools = { ...this.#options.tools, signal }
    const info = await probeVideo(input.path, { ...tools, countDecoded: true })
    const { video } = info
    const picture = join(workDir, 'video2x.mp4')
    await this.#exact(input.path, picture, video, { scale, codec }, context)
    const path = join(workDir, 'upscaled.mp4')
    await mux(picture, input.path, info, path, tools)
    await checkUpscaled(path, video, video.frames, scale, tools)
    const { size: sizeBytes } = await stat(path)
    if (maxSizeBytes !== undefined && sizeBytes > maxSizeBytes) {
      throw new EngineError(
        { code: 'ENGINE_RESULT_TOO_LARGE', sizeBytes, maxSizeBytes },
        `the result has ${sizeBytes} bytes, at most ${maxSizeBytes} are accepted`,
      )
    }
    const [width, height] = [video.width * scale, video.height * scale]
    return { path, engine: this.name, width, height, frames: video.frames, sizeBytes }
  }

  /** Upscales until the frame count is that of the source; learns the loss when it was wrong. */
  async #exact(
    source: string,
    output: string,
    video: VideoStreamInfo,
    { scale, codec }: { readonly scale: 2 | 4; readonly codec: UpscaleCodec },
    context: EngineContext,
  ): Promise<void> {
    const { signal, workDir } = context
    const tools = { ...this.#options.tools, signal }
    const padded = join(workDir, 'padded.mp4')
    let frames = 0
    for (let run = 0; run < MAX_RUNS; run += 1) {
      await this.#pad(source, padded, video, this.#lost, signal)
      await this.#upscale(padded, output, scale, codec, context)
      frames = (await probeVideo(output, tools)).video.frames
      if (frames === video.frames) return
      this.#lost = Math.max(0, this.#lost + video.frames - frames)
    }
    throw new EngineError(
      {
        code: 'ENGINE_OUTPUT_INVALID',
        what: 'frames',
        expected: `${video.frames}`,
        actual: `${frames}`,
      },
      `Video2X made ${frames} frames of ${video.frames}, differently each time`,
    )
  }

  /** A lossless, constant-rate copy without B-frames and sound, `extra` copies of the last frame added. */
  async #pad(
    source: string,
    output: string,
    video: VideoStreamInfo,
    extra: number,
    signal: AbortSignal,
  ): Promise<void> {
    const { num, den } = video.fps
    const filters = [
      `setpts=N/(${num}/${den})/TB`,
      ...(extra === 0 ? [] : [`tpad=stop_mode=clone:stop=${extra}`]),
    ]
    await runFfmpeg(
      [
        '-noautorotate',
        ...hostileInput(source),
        ...['-map', '0:v:0', '-an', '-sn', '-dn', '-vf', filters.join(',')],
        ...['-r', `${num}/${den}`, ...LOSSLESS, fileUrl(output)],
      ],
      { ...this.#options.tools, signal },
    )
    // ffmpeg hands the turn on. Whether Video2X turns pictures is not ours to guess: the result gets it back.
    await setMp4Rotation(output, 0)
  }

  async #upscale(
    source: string,
    output: string,
    scale: 2 | 4,
    codec: UpscaleCodec,
    { signal, onProgress, gpu }: EngineContext,
  ): Promise<void> {
    const { device = gpu, model, path = 'video2x', env } = this.#options
    this.#features ??= await this.#probe(signal)
    const profile = UPSCALE_PROFILES[codec]
    const args = video2xArgs(this.#features, { source, output, scale, profile, device, model })
    const lastLines: string[] = []
    try {
      const line = await tied(path, args)
      await runProcess(line.command, line.args, {
        signal,
        tool: 'video2x',
        maxStdoutBytes: MAX_LOG_BYTES,
        ...(env === undefined ? {} : { env }),
        onLine: (line) => {
          const progress = parseProgress(line)
          if (progress !== undefined) return onProgress?.(progress)
          lastLines.push(line)
          if (lastLines.length > 5) lastLines.shift()
        },
      })
    } catch (cause) {
      signal.throwIfAborted()
      throw failure(cause, lastLines)
    }
  }

  async #probe(signal: AbortSignal): Promise<Video2xFeatures> {
    const { path = 'video2x', env } = this.#options
    const options = { signal, tool: 'video2x', timeoutMs: 20_000, ...(env && { env }) }
    try {
      const [version, help] = await Promise.all(
        ['--version', '--help'].map((flag) => runProcess(path, [flag], options)),
      )
      const text = `${version?.stdout ?? ''}\n${help?.stdout ?? ''}\n${help?.stderr ?? ''}`
      return readFeatures(text)
    } catch (cause) {
      signal.throwIfAborted()
      throw new EngineError(
        { code: 'ENGINE_UNAVAILABLE', engine: this.name },
        `Video2X does not start: ${cause instanceof Error ? cause.message : cause}`,
        { cause },
      )
    }
  }

  async close(): Promise<void> {}
}

const LOSSLESS = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '0', '-bf', '0'] as const

function failure(cause: unknown, lastLines: readonly string[]): unknown {
  if (!(cause instanceof MediaError) || cause.code === 'MEDIA_TOOL_MISSING') return cause
  const { data } = cause
  const exitCode =
    data.code === 'MEDIA_PROCESS_FAILED' && data.exitCode !== null ? data.exitCode : undefined
  // Its exit codes tell bad arguments (255) and an abort (2) from a failure (1), nothing finer.
  return new EngineError(
    { code: 'ENGINE_FAILED', engine: 'video2x', exitCode },
    `Video2X failed: ${lastLines.join(' · ').slice(0, 600) || cause.message}`,
    { cause, retryable: exitCode !== 255 },
  )
}
