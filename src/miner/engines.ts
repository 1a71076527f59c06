import type { Config } from '../config/index.js'
import {
  type CompressParams,
  createCompressor,
  createUpscaler,
  type Engine,
  GenerateEngine,
  type GenerateParams,
  type GenerateResult,
  gpuNeed,
  type UpscaleParams,
  type VideoResult,
} from '../engines/index.js'
import { GuardedFetcher } from '../lib/http/index.js'
import type { Logger } from '../lib/log.js'
import { DEFAULT_COMFY_SERVER, openComfyRunner } from '../media/comfyui/index.js'

/** The engines of this process, one per kind of work, each made when its lane opens. */
export interface MinerEngines {
  upscale(): Promise<Engine<UpscaleParams, VideoResult>>
  compress(): Promise<Engine<CompressParams, VideoResult>>
  generate(): Promise<Engine<GenerateParams, GenerateResult, unknown>>
}

/** The engines that the settings ask for. */
export function configuredEngines(config: Config, log: Logger): MinerEngines {
  const tools = { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] }
  const { device } = config
  return {
    upscale: async () =>
      createUpscaler({
        engine: config['upscale.engine'],
        codec: config['upscale.codec'],
        device,
        gpu: gpuNeed(config, config['gpu.upscale_mb']),
        video2x: { path: config['video2x.path'], device: config['video2x.device'] },
        tools,
        log,
      }),
    generate: async () => {
      const { runner, deviceOf } = openComfyRunner({
        servers: config['comfyui.servers'] ?? [DEFAULT_COMFY_SERVER],
        tokens: config['comfyui.tokens'] ?? [],
        log,
      })
      const fetcher = new GuardedFetcher({
        allowPrivate: config['allow-private-urls'],
        allowHttp: config['allow-http-urls'],
      })
      return new GenerateEngine({ runner, fetcher, tools, deviceOf })
    },
    compress: () =>
      createCompressor({
        device,
        hardware: config['compress.hardware'],
        gpu: gpuNeed(config, config['gpu.compress_mb']),
        tools,
        log,
      }),
  }
}
