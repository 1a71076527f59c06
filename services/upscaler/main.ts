import { startProcess } from '#src/config/index.js'
import { createUpscaler, gpuNeed, upscaleOwn, upscaleReference } from '#src/engines/index.js'
import { RESULT_FOLDERS } from '#src/storage/index.js'
import { startVideoService } from '../video.js'

process.exitCode = await startProcess({
  process: 'upscaler',
  usage: 'Upscales videos: POST /upscale-video, POST /v1/upscale, GET /health, GET /queue',
  start: async (config, context) =>
    startVideoService(config, context, {
      engine: createUpscaler({
        engine: config['upscale.engine'],
        codec: config['upscale.codec'],
        device: config.device,
        gpu: gpuNeed(config, config['gpu.upscale_mb']),
        video2x: { path: config['video2x.path'], device: config['video2x.device'] },
        tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
        log: context.log,
      }),
      folder: RESULT_FOLDERS.upscale,
      port: config['upscaler.port'],
      service: {
        name: 'upscaler',
        referenceRoute: '/upscale-video',
        referenceBody: upscaleReference,
        ownRoute: '/v1/upscale',
        ownBody: upscaleOwn,
      },
    }),
})
