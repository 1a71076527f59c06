import type { Config } from '../config/index.js'
import {
  type CompressParams,
  createCompressor,
  createUpscaler,
  type Engine,
  type UpscaleParams,
  type VideoResult,
} from '../engines/index.js'
import type { Logger } from '../lib/log.js'

/** The engines of this process, one per kind of work, each made when its lane opens. */
export interface MinerEngines {
  upscale(): Promise<Engine<UpscaleParams, VideoResult>>
  compress(): Promise<Engine<CompressParams, VideoResult>>
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
        video2x: { path: config['video2x.path'], device: config['video2x.device'] },
        tools,
        log,
      }),
    compress: () => createCompressor({ device, hardware: config['compress.hardware'], tools, log }),
  }
}
