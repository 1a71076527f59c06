import { startProcess } from '#src/config/index.js'
import { compressOwn, compressReference, createCompressor, gpuNeed } from '#src/engines/index.js'
import { RESULT_FOLDERS } from '#src/storage/index.js'
import { startVideoService } from '../video.js'

process.exitCode = await startProcess({
  process: 'compressor',
  usage:
    'Compresses videos to a VMAF: POST /compress-video, POST /v1/compress, GET /health, GET /queue',
  start: async (config, context) =>
    startVideoService(config, context, {
      engine: await createCompressor({
        hardware: config['compress.hardware'],
        effort: config['compress.effort'],
        device: config.device,
        gpu: gpuNeed(config, config['gpu.compress_mb']),
        tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
        log: context.log,
      }),
      folder: RESULT_FOLDERS.compress,
      port: config['compressor.port'],
      service: {
        name: 'compressor',
        referenceRoute: '/compress-video',
        referenceBody: compressReference,
        ownRoute: '/v1/compress',
        ownBody: compressOwn,
      },
    }),
})
