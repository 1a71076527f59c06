import type { Config } from '../config/index.js'
import type { Daemon, DaemonContext } from '../lib/daemon.js'
import { GuardedFetcher } from '../lib/http/index.js'
import { connectProducer, OrganicJobs } from '../queue/index.js'
import {
  BuiltinStore,
  Delivery,
  keepSwept,
  longestLifeMs,
  openStore,
  RedisSchedule,
  Retention,
} from '../storage/index.js'
import { Clients } from './clients.js'
import { createGateway, UPLOAD_EXPIRY_S, UPLOAD_FOLDER } from './gateway.js'

const MEGABYTE = 1_000_000
const SWEEP_EVERY_MS = 60_000
const ORPHANS_EVERY_MS = 3_600_000

/** Composes the gateway from its settings. */
export async function startGateway(config: Config, context: DaemonContext): Promise<Daemon> {
  const { clock, rng, log, resources, admin, stopping } = context
  const redis = connectProducer(config['redis.url'].reveal(), log)
  resources.defer('redis', () => redis.disconnect())
  const limits = {
    dailyQuota: config['gateway.daily_quota'],
    ratePerMinute: config['gateway.rate_per_minute'],
  }
  const clients = new Clients(config['gateway.keys'] ?? [], limits, { redis, clock })
  const store = resources.use('store', await openStore(config, { clock, rng, log }))
  // A schedule of its own: a miner on the same Redis would look for uploads in another store.
  const schedule = new RedisSchedule(redis, '{subreel}:gateway')
  const fetcher = new GuardedFetcher({ allowPrivate: true })
  const uploads = new Delivery(
    { expirySeconds: UPLOAD_EXPIRY_S, checkReachable: false },
    { store, schedule, clock, rng, fetcher },
  )
  const retention = new Retention(
    { folders: [UPLOAD_FOLDER], maxAgeMs: longestLifeMs(UPLOAD_EXPIRY_S) },
    { store, schedule, clock, log },
  )
  const sweeping = keepSwept(
    retention,
    { everyMs: SWEEP_EVERY_MS, orphansEveryMs: ORPHANS_EVERY_MS, signal: stopping },
    { clock, log },
  )
  resources.defer('sweeper', () => sweeping)
  const jobs = new OrganicJobs({ redis, clock, rng })
  resources.defer('watchers', () => jobs.close())
  const app = await createGateway(
    {
      rules: { http: config['allow-http-urls'], privateAddresses: config['allow-private-urls'] },
      maxUploadBytes: config['fetch.max_mb'] * MEGABYTE,
      ...(config['neuron.temp_dir'] === undefined ? {} : { tempDir: config['neuron.temp_dir'] }),
    },
    { jobs, clients, uploads, store, log },
  )
  resources.use('gateway', app)
  await app.listen({ host: config['gateway.host'], port: config['gateway.port'] })
  const address = app.server.address()
  const port =
    typeof address === 'object' && address !== null ? address.port : config['gateway.port']
  if (store instanceof BuiltinStore && config['bucket.public_url'] === undefined) {
    const host = config['gateway.host'] === '0.0.0.0' ? '127.0.0.1' : config['gateway.host']
    store.announce(`http://${host}:${port}`)
    log.warn(
      { event: 'uploads.not-public', host, port },
      'miners on other hosts cannot fetch uploads: set bucket.public_url or a bucket',
    )
  }
  log.info(
    { event: 'gateway.listening', host: config['gateway.host'], port },
    'the gateway takes jobs',
  )
  admin.addCheck('redis', async () => void (await redis.ping()))
  return { drained: () => app.close() }
}
