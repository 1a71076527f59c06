import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Workspace } from '../lib/workspace.js'
import { BullWorkers, connectProducer, DEFAULT_SETTINGS, LiveFeed } from '../queue/index.js'
import { Delivery } from '../storage/index.js'
import type { MinerEngines } from './engines.js'
import { GenerateRunner } from './generate-runner.js'
import type { Offer } from './offer.js'
import { compressParams, LocalRunner, upscaleParams, type VideoRunner } from './runners.js'
import { compressBody, ServiceRunner, upscaleBody } from './service-runner.js'
import type { Shared } from './shared.js'
import {
  type CompressVideoTask,
  compressTaskSchema,
  generateTaskSchema,
  type UpscaleVideoTask,
  upscaleTaskSchema,
} from './tasks.js'
import { MinerWorker } from './worker.js'

const MB = 1_000_000
/** How long the reference clients wait for the reference services. */
const UPSCALE_SERVICE_MS = 1_200_000
const COMPRESS_SERVICE_MS = 600_000

/** Opens the lanes of this process: engines warm, working folder clean. */
export async function openWorker(
  shared: Shared,
  offer: Offer,
  engines: MinerEngines,
): Promise<MinerWorker> {
  const { config, context, metrics, queueSettings } = shared
  const { log, clock, rng } = context
  const workspace = new Workspace(
    {
      root: join(config['neuron.temp_dir'] ?? tmpdir(), 'subreel-work'),
      softCapBytes: config['miner.max_temp_mb'] * MB,
      minFreeBytes: config['miner.min_free_mb'] * MB,
    },
    { clock, rng, log },
  )
  await workspace.open()
  const workers = new BullWorkers(
    { redisUrl: config['redis.url'].reveal(), settings: queueSettings },
    { log, clock, metrics: metrics.queue },
  )
  const worker = new MinerWorker({ workers, workspace, clock, log, metrics: metrics.miner })
  if (offer.kinds.has('upscale')) {
    await worker.open({
      kind: 'upscale',
      slots: config['miner.upscale_slots'],
      schema: upscaleTaskSchema,
      remote: config['miner.upscaler_url'] !== undefined,
      runner: await upscaleRunner(shared, engines),
    })
  }
  if (offer.kinds.has('compress')) {
    await worker.open({
      kind: 'compress',
      slots: config['miner.compress_slots'],
      schema: compressTaskSchema,
      remote: config['miner.compressor_url'] !== undefined,
      runner: await compressRunner(shared, engines),
    })
  }
  if (offer.kinds.has('generate')) {
    await worker.open({
      kind: 'generate',
      slots: config['miner.generate_slots'] ?? Math.max(1, config['comfyui.servers']?.length ?? 1),
      schema: generateTaskSchema,
      remote: true,
      runner: await generateRunner(shared, engines),
    })
  }
  worker.start()
  return worker
}

async function upscaleRunner(
  shared: Shared,
  engines: MinerEngines,
): Promise<VideoRunner<UpscaleVideoTask>> {
  const { config, context } = shared
  const url = config['miner.upscaler_url']
  if (url === undefined) {
    return new LocalRunner(
      { kind: 'upscale', paramsOf: upscaleParams, ...localLimits(shared) },
      { engine: await engines.upscale(), ...localModules(shared) },
    )
  }
  return new ServiceRunner(
    {
      kind: 'upscale',
      url,
      path: '/upscale-video',
      timeoutMs: UPSCALE_SERVICE_MS,
      bodyOf: upscaleBody,
      expirySeconds: config['bucket.expiry_seconds'],
    },
    { fetcher: shared.ownFetcher, clock: context.clock },
  )
}

async function compressRunner(
  shared: Shared,
  engines: MinerEngines,
): Promise<VideoRunner<CompressVideoTask>> {
  const { config, context } = shared
  const url = config['miner.compressor_url']
  if (url === undefined) {
    return new LocalRunner(
      { kind: 'compress', paramsOf: compressParams, ...localLimits(shared) },
      { engine: await engines.compress(), ...localModules(shared) },
    )
  }
  return new ServiceRunner(
    {
      kind: 'compress',
      url,
      path: '/compress-video',
      timeoutMs: COMPRESS_SERVICE_MS,
      bodyOf: compressBody,
      expirySeconds: config['bucket.expiry_seconds'],
    },
    { fetcher: shared.ownFetcher, clock: context.clock },
  )
}

async function generateRunner(shared: Shared, engines: MinerEngines): Promise<GenerateRunner> {
  const { config, context } = shared
  const redis = connectProducer(config['redis.url'].reveal(), context.log)
  context.resources.defer('live feed', () => redis.disconnect())
  return new GenerateRunner({
    engine: await engines.generate(),
    live: new LiveFeed(redis, config['queue.prefix']),
    rememberMs: DEFAULT_SETTINGS.keepMs,
    ...localModules(shared),
  })
}

const localLimits = ({ config }: Shared) => ({
  maxInputBytes: config['fetch.max_mb'] * MB,
  tools: { ffmpegPath: config['ffmpeg.path'], ffprobePath: config['ffprobe.path'] },
})

const localModules = (shared: Shared) => {
  const { context, config, store, schedule, ownFetcher, peerFetcher, metrics } = shared
  const { clock, rng } = context
  const delivery = new Delivery(
    {
      expirySeconds: config['bucket.expiry_seconds'],
      checkReachable: config['bucket.check_reachable'],
    },
    { store, schedule, clock, rng, fetcher: ownFetcher },
  )
  return { fetcher: peerFetcher, delivery, clock, rng, metrics: metrics.miner }
}
