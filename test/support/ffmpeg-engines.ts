import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type {
  CompressParams,
  Engine,
  EngineContext,
  UpscaleParams,
  VideoResult,
} from '#src/engines/index.js'
import { hostileInput, probeVideo, runFfmpeg } from '#src/media/index.js'
import type { MinerEngines } from '#src/miner/engines.js'

/** Lanczos and x264: real encodes by the real ffmpeg, without models, for tests of what is around. */
class FfmpegEngine<P> implements Engine<P, VideoResult> {
  readonly name: string
  readonly #args: (params: P) => readonly string[]

  constructor(name: string, args: (params: P) => readonly string[]) {
    this.name = name
    this.#args = args
  }

  async ready(): Promise<void> {}

  async run(
    input: { readonly path: string; readonly params: P },
    { workDir, signal, onProgress }: EngineContext,
  ): Promise<VideoResult> {
    const path = join(workDir, 'result.mp4')
    const before = await probeVideo(input.path, { signal })
    const args = [
      ...hostileInput(input.path),
      ...this.#args(input.params),
      ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', `file:${path}`],
    ]
    await runFfmpeg(args, {
      signal,
      onProgress: ({ frame }) => onProgress?.(Math.min(1, frame / before.video.frames)),
    })
    const { video } = await probeVideo(path, { signal })
    const { size: sizeBytes } = await stat(path)
    const { width, height, frames } = video
    return { path, engine: this.name, width, height, frames, sizeBytes }
  }

  async close(): Promise<void> {}
}

export const ffmpegEngines = ({ generate }: Pick<MinerEngines, 'generate'>): MinerEngines => ({
  upscale: async () =>
    new FfmpegEngine<UpscaleParams>('lanczos', ({ scale }) => [
      ...['-vf', `scale=iw*${scale}:ih*${scale}:flags=lanczos`],
    ]),
  compress: async () => new FfmpegEngine<CompressParams>('x264', () => ['-crf', '24']),
  generate,
})
