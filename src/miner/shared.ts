import type { Redis } from 'ioredis'
import type { Config } from '../config/index.js'
import type { DaemonContext } from '../lib/daemon.js'
import { GuardedFetcher } from '../lib/http/index.js'
import {
  connectWorker,
  createMetrics as createQueueMetrics,
  DEFAULT_SETTINGS,
  type QueueMetrics,
  type QueueSettings,
} from '../queue/index.js'
import type { BuiltinStore, S3Store } from '../storage/index.js'
import { createMetrics, openStore, RedisSchedule, type StorageMetrics } from '../storage/index.js'
import { createMetrics as createMinerMetrics, type MinerMetrics } from './metrics.js'

/** What both sides of a miner process use. */
export interface Shared {
  readonly config: Config
  readonly context: DaemonContext
  readonly store: BuiltinStore | S3Store
  readonly schedule: RedisSchedule
  /** For URLs that peers give. */
  readonly peerFetcher: GuardedFetcher
  /** For this operator's own addresses. */
  readonly ownFetcher: GuardedFetcher
  readonly queueSettings: Partial<QueueSettings>
  readonly metrics: {
    readonly queue: QueueMetrics
    readonly storage: StorageMetrics
    readonly miner: MinerMetrics
  }
}

/** Opens the store and the connections that every role needs. */
export async function openShared(config: Config, context: DaemonContext): Promise<Shared> {
  const { clock, rng, log, registry, resources } = context
  const metrics = {
    queue: createQueueMetrics(registry),
    storage: createMetrics(registry),
    miner: createMinerMetrics(registry),
  }
  const store = await openStore(config, { clock, rng, log, metrics: metrics.storage })
  resources.use('store', store)
  const redis: Redis = connectWorker(config['redis.url'].reveal(), log, 'retention')
  resources.defer('redis', () => redis.disconnect())
  return {
    config,
    context,
    store,
    schedule: new RedisSchedule(redis, config['queue.prefix']),
    peerFetcher: new GuardedFetcher({
      allowPrivate: config['allow-private-urls'],
      allowHttp: config['allow-http-urls'],
    }),
    ownFetcher: new GuardedFetcher({ allowPrivate: true }),
    queueSettings: queueSettings(config),
    metrics,
  }
}

/** How the lanes behave: alike in every process of one Redis. */
export function queueSettings(config: Config): Partial<QueueSettings> {
  return {
    prefix: config['queue.prefix'],
    maxWaiting: config['queue.max_waiting'],
    maxWaitMs: config['queue.max_wait_seconds'] * 1_000,
    // A result can be asked for as long as its URL works.
    keepMs: Math.max(DEFAULT_SETTINGS.keepMs, config['bucket.expiry_seconds'] * 1_000),
  }
}

/** The built-in store's origin: the operator's word, or the axon's own public address. */
export function publicOrigin(config: Config, externalIp: string): string {
  const given = config['bucket.public_url']
  if (given !== undefined) return new URL(given).origin
  const host = externalIp.includes(':') ? `[${externalIp}]` : externalIp
  return `http://${host}:${config['axon.external_port'] ?? config['axon.port']}`
}
