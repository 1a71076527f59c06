import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '#src/config/index.js'
import {
  createMetrics,
  type Engine,
  type VideoResult,
  VideoService,
  type VideoServiceOptions,
} from '#src/engines/index.js'
import type { Daemon, DaemonContext } from '#src/lib/daemon.js'
import { describeError } from '#src/lib/errors.js'
import { GuardedFetcher } from '#src/lib/http/index.js'
import { runEvery } from '#src/lib/loop.js'
import { Workspace } from '#src/lib/workspace.js'
import { connectWorker } from '#src/queue/index.js'
import {
  BuiltinStore,
  createMetrics as createStorageMetrics,
  Delivery,
  OBJECT_PATH,
  openStore,
  RedisSchedule,
} from '#src/storage/index.js'

export interface VideoDaemonOptions<P, R extends VideoResult> {
  readonly engine: Engine<P, R>
  readonly folder: string
  readonly port: number
  readonly service: Pick<
    VideoServiceOptions<P>,
    'name' | 'referenceRoute' | 'referenceBody' | 'ownRoute' | 'ownBody'
  >
}

const SWEEP_EVERY_MS = 300_000

/** Composes one engine, the guarded fetch and the store into a listening service. */
export async function startVideoService<P, R extends VideoResult>(
  config: Config,
  context: DaemonContext,
  { engine, folder, port, service: names }: VideoDaemonOptions<P, R>,
): Promise<Daemon> {
  const { clock, rng, log, registry, resources, aborting, stopping } = context
  const storageMetrics = createStorageMetrics(registry)
  const store = resources.use(
    'store',
    await openStore(config, { clock, rng, log, metrics: storageMetrics }),
  )
  const redis = connectWorker(config['redis.url'].reveal(), log, names.name)
  resources.defer('redis', () => redis.disconnect())
  const delivery = new Delivery(
    {
      expirySeconds: config['bucket.expiry_seconds'],
      checkReachable: config['bucket.check_reachable'],
    },
    {
      store,
      schedule: new RedisSchedule(redis, config['queue.prefix']),
      clock,
      rng,
      fetcher: new GuardedFetcher({ allowPrivate: true }),
    },
  )
  const root = join(config['neuron.temp_dir'] ?? tmpdir(), 'subreel-work')
  const workspace = new Workspace({ root }, { clock, rng, log })
  await workspace.open()
  resources.use('workspace', workspace)
  const service = new VideoService(
    {
      ...names,
      active: config['service.active'],
      waiting: config['queue.max_waiting'],
      maxInputBytes: config['fetch.max_mb'] * 1_000_000,
      jobTimeoutMs: config['service.job_timeout_seconds'] * 1000,
    },
    {
      engine,
      workspace,
      fetcher: new GuardedFetcher({
        allowPrivate: config['allow-private-urls'],
        allowHttp: config['allow-http-urls'],
      }),
      deliver: async (path, signal) =>
        (await delivery.deliver({ path, folder, hotkey: names.name }, signal)).url,
      clock,
      log,
      metrics: createMetrics(registry),
      stopping: aborting,
    },
  )
  resources.use('service', service)
  if (store instanceof BuiltinStore) {
    service.app.all(`${OBJECT_PATH}*`, async (request, reply) => {
      reply.hijack()
      await store.server.handle(request.raw, reply.raw)
    })
  }
  await engine.ready(stopping)
  const host = config['service.host']
  const bound = await service.listen(host, port)
  if (store instanceof BuiltinStore && config['bucket.public_url'] === undefined) {
    store.announce(`http://${host}:${bound}`)
  }
  log.info({ event: 'service.started', service: names.name, host, port: bound }, 'listening')
  const onError = (error: unknown) =>
    log.warn(
      { event: 'worker.check-failed', reason: describeError(error) },
      'working files could not be swept',
    )
  void runEvery({ clock, signal: stopping, everyMs: SWEEP_EVERY_MS, onError }, async () => {
    await workspace.sweep()
  })
  return { drained: () => service.drained() }
}
