import Fastify, { type FastifyInstance } from 'fastify'
import type { Config } from '#src/config/index.js'
import type { Daemon, DaemonContext } from '#src/lib/daemon.js'
import { connectWorker, whenReady } from '#src/queue/index.js'
import {
  createMetrics,
  keepSwept,
  longestLifeMs,
  openStore,
  RESULT_FOLDERS,
  RedisSchedule,
  Retention,
} from '#src/storage/index.js'
import { SERVICE_PORTS } from '../ports.js'

const ORPHANS_EVERY_MS = 300_000
const REDIS_START_MS = 5_000

/** Deletes results whose time is over, as a process of its own. */
export async function startDeleter(
  config: Config,
  context: DaemonContext,
  port: number = SERVICE_PORTS.deleter,
): Promise<Daemon & { readonly port: number }> {
  const { clock, log, rng, registry, resources, stopping } = context
  const metrics = createMetrics(registry)
  const store = await openStore(config, { clock, rng, log, metrics })
  resources.use('store', store)
  const redis = connectWorker(config['redis.url'].reveal(), log, 'deleter')
  resources.defer('redis', () => redis.disconnect())
  // Ready before the first request says so; without Redis it starts all the same and waits for it.
  await whenReady(redis, REDIS_START_MS).catch(() => {})
  const retention = new Retention(
    {
      folders: Object.values(RESULT_FOLDERS),
      maxAgeMs: longestLifeMs(config['bucket.expiry_seconds']),
    },
    { store, schedule: new RedisSchedule(redis, config['queue.prefix']), clock, log, metrics },
  )
  const app = routes(retention, context, () => redis.status === 'ready', store)
  resources.defer('http', () => app.close())
  const everyMs = config['deleter.every_seconds'] * 1_000
  const sweeping = keepSwept(
    retention,
    { everyMs, orphansEveryMs: ORPHANS_EVERY_MS, signal: stopping },
    { clock, log },
  )
  await app.listen({ host: '127.0.0.1', port })
  const address = app.server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  log.info({ event: 'deleter.opened', port: bound }, 'the deleter listens')
  return { port: bound, drained: () => sweeping }
}

/** `GET /health`, `GET /metrics`, `POST /sweep`: for the operator, on loopback. */
function routes(
  retention: Retention,
  { registry, stopping }: DaemonContext,
  redisReady: () => boolean,
  store: { readonly kind: string },
): FastifyInstance {
  const app = Fastify({ bodyLimit: 1024, requestTimeout: 10_000, forceCloseConnections: true })
  app.get('/health', async (_request, reply) => {
    const healthy = redisReady()
    reply.code(healthy ? 200 : 503)
    return { status: healthy ? 'ok' : 'redis is away', store: store.kind }
  })
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', registry.contentType)
    return registry.metrics()
  })
  app.post('/sweep', async (_request, reply) => {
    if (!redisReady()) {
      reply.code(503)
      return { error: 'redis is away' }
    }
    const due = await retention.sweepDue(stopping)
    const orphans = await retention.sweepOrphans(stopping)
    return { due, orphans }
  })
  return app
}
