import type { AxonRoute } from '../axon/index.js'
import { discoverPublicIp } from '../chain/public-ip.js'
import type { Chain } from '../chain/types.js'
import type { Config } from '../config/index.js'
import type { Daemon, DaemonContext } from '../lib/daemon.js'
import { must } from '../lib/errors.js'
import { toNetuid } from '../protocol/index.js'
import {
  BuiltinStore,
  keepSwept,
  longestLifeMs,
  RESULT_FOLDERS,
  Retention,
} from '../storage/index.js'
import type { Signer } from '../wallet/index.js'
import { configuredEngines, type MinerEngines } from './engines.js'
import type { HandlerModules } from './handlers/modules.js'
import { Offer } from './offer.js'
import { openShared, publicOrigin, type Shared } from './shared.js'
import { openWorker } from './worker-side.js'

/** What a miner asks of the chain. */
export type MinerChain = Pick<Chain, 'metagraph' | 'serveAxon' | 'close'>

/** What a miner is made of beyond its settings; everything has a default but the way to the chain. */
export interface MinerParts {
  /** Opened for the roles that talk to the network. */
  readonly chain: (config: Config, context: DaemonContext) => Promise<MinerChain>
  readonly signer: (config: Config) => Promise<Signer>
  readonly engines?: MinerEngines
  readonly routes?: (modules: HandlerModules) => readonly AxonRoute[]
}

const ORPHANS_EVERY_MS = 300_000

/**
 * Composes a miner from its settings. `role` axon receives tasks, `worker` works on them, `all` does
 * both in one process; any number of workers may share one Redis with one axon.
 */
export async function startMiner(
  config: Config,
  context: DaemonContext,
  parts: MinerParts,
): Promise<Daemon> {
  const { role } = config
  const offer = new Offer(offered(config))
  const shared = await openShared(config, context)
  const externalIp = await externalIpOf(shared)
  if (shared.store instanceof BuiltinStore) shared.store.announce(publicOrigin(config, externalIp))
  // Workers first: an axon without one would have to refuse its first callers.
  const worker =
    role === 'axon'
      ? undefined
      : await openWorker(
          shared,
          offer,
          parts.engines ?? configuredEngines(config, context.log, context.registry),
        )
  const axon = role === 'worker' ? undefined : await openMinerAxon(shared, offer, externalIp, parts)
  if (role !== 'worker' && config['deleter.in_miner']) startDeleter(shared)
  const graceMs = config['shutdown.grace_seconds'] * 1_000
  return {
    drained: async () => {
      // Callers wait in the axon for what the worker finishes: both drain together.
      await Promise.all([axon?.close({ graceMs }), worker?.close(graceMs)])
    },
  }
}

/** Whoever names ComfyUI servers means to use them. */
const offered = (config: Config): readonly string[] =>
  config['comfyui.servers'] === undefined
    ? config['miner.tasks']
    : [...new Set([...config['miner.tasks'], 'generation'])]

async function openMinerAxon(shared: Shared, offer: Offer, externalIp: string, parts: MinerParts) {
  const { config, context } = shared
  const signer = await parts.signer(config)
  const chain = await parts.chain(config, context)
  context.resources.use('chain', chain)
  // Not loaded by workers, which are back the sooner after a crash.
  const { openAxon } = await import('./axon-side.js')
  const netuid = toNetuid(must(config.netuid, 'netuid'))
  const axon = await openAxon(shared, {
    chain,
    signer,
    netuid,
    offer,
    externalIp,
    ...(parts.routes === undefined ? {} : { routes: parts.routes }),
  })
  context.resources.defer('axon', () => axon.close({ graceMs: 0 }))
  return axon
}

/** Only what announces an address needs it: the axon, and a worker that signs URLs of its store. */
async function externalIpOf(shared: Shared): Promise<string> {
  const { config, context, store, peerFetcher } = shared
  const given = config['axon.external_ip']
  if (given !== undefined) return given
  const announces = config.role !== 'worker'
  const signs = store instanceof BuiltinStore && config['bucket.public_url'] === undefined
  if (!announces && !signs) return '127.0.0.1'
  if (config['allow-private-urls'])
    return config['axon.ip'] === '0.0.0.0' ? '127.0.0.1' : config['axon.ip']
  return discoverPublicIp({ fetcher: peerFetcher, signal: context.stopping })
}

function startDeleter(shared: Shared): void {
  const { config, context, store, schedule, metrics } = shared
  const { clock, log, stopping, resources } = context
  const retention = new Retention(
    {
      folders: Object.values(RESULT_FOLDERS),
      maxAgeMs: longestLifeMs(config['bucket.expiry_seconds']),
    },
    { store, schedule, clock, log, metrics: metrics.storage },
  )
  const everyMs = config['deleter.every_seconds'] * 1_000
  const sweeping = keepSwept(
    retention,
    { everyMs, orphansEveryMs: ORPHANS_EVERY_MS, signal: stopping },
    { clock, log },
  )
  resources.defer('deleter', () => sweeping)
}
