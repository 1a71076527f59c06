import { startProcess } from '#src/config/index.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { createJudge, createVmafScorer } from '#src/scoring/index.js'
import { createMetrics, ScoreService } from '#src/scoring/service/index.js'

process.exitCode = await startProcess({
  process: 'scorer',
  usage: 'Judges results against their reference: POST /score, GET /health',
  start: async (config, context) => {
    const { clock, log, registry, resources, aborting } = context
    const media = { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] }
    const vmaf = resources.use(
      'models',
      await createVmafScorer({ ...media, device: config.device, log }),
    )
    const tempDir = config['neuron.temp_dir']
    const judge = createJudge({ vmaf, media }, tempDir === undefined ? {} : { tempDir })
    const service = new ScoreService(
      {
        active: config['scorer.active'],
        waiting: config['scorer.max_waiting'],
        maxInputBytes: config['fetch.max_mb'] * 1_000_000,
        jobTimeoutMs: config['scorer.job_timeout_seconds'] * 1000,
        localFolders: config['scorer.local_folders'] ?? [],
        tempDir,
      },
      {
        judge,
        fetcher: new GuardedFetcher({
          allowPrivate: config['allow-private-urls'],
          allowHttp: config['allow-http-urls'],
        }),
        clock,
        log,
        metrics: createMetrics(registry),
        stopping: aborting,
      },
    )
    resources.use('scorer', service.app)
    const host = config['scorer.host']
    await service.app.listen({ host, port: config['scorer.port'] })
    const address = service.app.server.address()
    const port = typeof address === 'object' ? address?.port : config['scorer.port']
    log.info({ event: 'scorer.listening', host, port }, 'the scorer takes results')
    return { drained: () => service.drain() }
  },
})
