import type { Config } from '../config/index.js'
import type { Daemon, DaemonContext } from '../lib/daemon.js'
import { connectProducer, OrganicJobs } from '../queue/index.js'
import { BuiltinStore, openStore } from '../storage/index.js'
import { Clients } from './clients.js'
import { createGateway } from './gateway.js'

const MEGABYTE = 1_000_000

/** Composes the gateway from its settings. */
export async function startGateway(config: Config, context: DaemonContext): Promise<Daemon> {
  const { clock, rng, log, resources, admin } = context
  const redis = connectProducer(config['redis.url'].reveal(), log)
  resources.defer('redis', () => redis.disconnect())
  const limits = {
    dailyQuota: config['gateway.daily_quota'],
    ratePerMinute: config['gateway.rate_per_minute'],
  }
  const clients = new Clients(config['gateway.keys'] ?? [], limits, { redis, clock })
  const store = resources.use('store', await openStore(config, { clock, rng, log }))
  if (store instanceof BuiltinStore) {
    const origin = config['bucket.public_url']
    const publicOrigin = origin === undefined ? undefined : new URL(origin).origin
    await store.listen(config['gateway.host'], 0, publicOrigin)
  }
  const app = await createGateway(
    {
      rules: { http: config['allow-http-urls'], privateAddresses: config['allow-private-urls'] },
      maxUploadBytes: config['fetch.max_mb'] * MEGABYTE,
      ...(config['neuron.temp_dir'] === undefined ? {} : { tempDir: config['neuron.temp_dir'] }),
    },
    { jobs: new OrganicJobs({ redis, clock, rng }), clients, store, log },
  )
  resources.use('gateway', app)
  await app.listen({ host: config['gateway.host'], port: config['gateway.port'] })
  const address = app.server.address()
  const port =
    typeof address === 'object' && address !== null ? address.port : config['gateway.port']
  log.info(
    { event: 'gateway.listening', host: config['gateway.host'], port },
    'the gateway takes jobs',
  )
  admin.addCheck('redis', async () => void (await redis.ping()))
  return { drained: () => app.close() }
}
