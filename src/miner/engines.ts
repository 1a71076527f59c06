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
import type { Registry } from '../lib/metrics.js'
import { type ComfyWarmUp, DEFAULT_COMFY_SERVER, openComfyPool } from '../media/comfyui/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '../workflows/index.js'

/** The engines of this process, one per kind of work, each made when its lane opens. */
export interface MinerEngines {
  upscale(): Promise<Engine<UpscaleParams, VideoResult>>
  compress(): Promise<Engine<CompressParams, VideoResult>>
  generate(): Promise<Engine<GenerateParams, GenerateResult, unknown>>
}

/** The engines that the settings ask for. */
export function configuredEngines(config: Config, log: Logger, registry?: Registry): MinerEngines {
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
      const runner = await openComfyPool({
        servers: config['comfyui.servers'] ?? [DEFAULT_COMFY_SERVER],
        tokens: config['comfyui.tokens'] ?? [],
        models: config['comfyui.models'],
        nodesFile: config['comfyui.nodes'],
        urls: { http: config['allow-http-urls'], privateAddresses: config['allow-private-urls'] },
        pollMs: config['comfyui.poll_seconds'] * 1000,
        runTimeoutMs: config['comfyui.timeout_seconds'] * 1000,
        warmUps: await warmUps(config),
        ...(registry === undefined ? {} : { registry }),
        log,
      })
      const fetcher = new GuardedFetcher({
        allowPrivate: config['allow-private-urls'],
        allowHttp: config['allow-http-urls'],
      })
      return new GenerateEngine({
        runner,
        fetcher,
        tools,
        deviceOf: (server) => runner.deviceOf(server),
      })
    },
    compress: () =>
      createCompressor({
        device,
        hardware: config['compress.hardware'],
        effort: config['compress.effort'],
        gpu: gpuNeed(config, config['gpu.compress_mb']),
        tools,
        log,
      }),
  }
}

/** Workflows whose models ComfyUI servers load before the first task comes. */
async function warmUps(config: Config): Promise<readonly ComfyWarmUp[]> {
  const names = config['comfyui.warm_up'] ?? []
  if (names.length === 0) return []
  const store = await WorkflowStore.open(SHIPPED_WORKFLOWS, config['workflows.folder'])
  return names.map((name) => ({ workflow: store.get(name).workflow }))
}
