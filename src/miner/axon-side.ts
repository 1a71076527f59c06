import {
  type Axon,
  type AxonRoute,
  createAxon,
  nonceRetentionMs,
  RedisNonceStore,
} from '../axon/index.js'
import type { Chain } from '../chain/types.js'
import { runEvery } from '../lib/loop.js'
import {
  BTAUTH_DEFAULTS,
  type Hotkey,
  type Netuid,
  STRICT_NONCES,
  WIRE_VERSION,
} from '../protocol/index.js'
import { BullJobQueue, connectProducer } from '../queue/index.js'
import { mountObjects } from '../storage/index.js'
import { createVerifier, type Signer } from '../wallet/index.js'
import { keepAnnounced } from './announce.js'
import { MinerError } from './errors.js'
import { generationRoutes } from './generation-side.js'
import { jobRoutes } from './handlers/job.js'
import type { HandlerModules } from './handlers/modules.js'
import { taskRoutes } from './handlers/task.js'
import { videoRoutes } from './handlers/video.js'
import { lengthRoute, warrantRoute } from './handlers/warrant.js'
import type { Offer } from './offer.js'
import { MetagraphPeers } from './peers.js'
import type { Shared } from './shared.js'

export interface AxonSideModules {
  readonly chain: Pick<Chain, 'metagraph' | 'serveAxon'>
  readonly signer: Signer
  readonly netuid: Netuid
  readonly offer: Offer
  /** Where others reach this axon. */
  readonly externalIp: string
  /** Further synapses served beside the video ones. */
  readonly routes?: (modules: HandlerModules) => readonly AxonRoute[]
}

const DEPTH_EVERY_MS = 5_000
const onError = () => {}

/** The receiving side: queue, metagraph, axon, its place on the chain. */
export async function openAxon(shared: Shared, modules: AxonSideModules): Promise<Axon> {
  const { config, context, metrics } = shared
  const { log, clock, resources, admin, stopping, registry } = context
  const { chain, signer, netuid, offer, externalIp } = modules
  const queue = await BullJobQueue.open(
    {
      redisUrl: config['redis.url'].reveal(),
      settings: shared.queueSettings,
      allowVolatile: config['queue.allow_volatile'],
    },
    { log, clock, metrics: metrics.queue },
  )
  resources.use('queue', queue)
  admin.addCheck('redis', () => queue.ping())
  // Keeps the depth metric true while nobody asks: autoscalers follow it. Redis says itself when it is away.
  const counting = runEvery(
    { clock, signal: stopping, everyMs: DEPTH_EVERY_MS, onError },
    async () => {
      for (const kind of offer.kinds) await queue.capacity(kind)
    },
  )
  resources.defer('depth', () => counting)

  const peers = new MetagraphPeers(netuid, { chain, clock, log })
  await peers.refresh(stopping)
  requireRegistered(peers, signer.address)
  const fresh = peers.keepFresh(stopping)
  resources.defer('metagraph', () => fresh)
  admin.addCheck('metagraph', async () => peers.requireFresh())

  const nonceRedis = connectProducer(config['redis.url'].reveal(), log)
  resources.defer('nonces', () => nonceRedis.disconnect())
  const verifier = createVerifier({ threads: config['axon.verify_threads'] })
  resources.use('verifier', verifier)
  const handlers: HandlerModules = { queue, offer, clock, log, metrics: metrics.miner }
  const btauth = {
    ...BTAUTH_DEFAULTS,
    maxAgeS: config['axon.btauth_max_age_seconds'],
    requireReceiver: config['axon.btauth_require_receiver'],
  }
  const axon = createAxon({
    wallet: signer,
    peers,
    synapses: [
      warrantRoute(offer),
      lengthRoute(lengthOf(config['miner.max_content_length'])),
      ...videoRoutes(handlers),
      ...jobRoutes(handlers, config['miner.job_timeout_seconds'] * 1_000),
      ...taskRoutes(handlers),
      ...(await generationRoutes(shared, handlers, externalIp)),
      ...(modules.routes?.(handlers) ?? []),
    ],
    access: {
      minStake: config['blacklist.min_stake'],
      requireValidatorPermit: config['blacklist.force_validator_permit'],
      allowUnregistered: config['blacklist.allow_non_registered'],
    },
    protocols: {
      legacy: config['axon.protocols'] !== 'btauth',
      btauth: config['axon.protocols'] !== 'legacy',
    },
    btauth,
    verifier,
    nonceStore: new RedisNonceStore({
      redis: nonceRedis,
      retentionMs: nonceRetentionMs(STRICT_NONCES, btauth),
      prefix: `${config['queue.prefix']}:nonce:${signer.address}:`,
    }),
    concurrency: config['axon.max_workers'],
    mount: (app) => mountObjects(app, shared.store),
    clock,
    log,
    registry,
  })
  const { port } = await axon.listen({ host: config['axon.ip'], port: config['axon.port'] })
  const announcing = keepAnnounced(
    {
      netuid,
      ip: modules.externalIp,
      port: config['axon.external_port'] ?? port,
      version: WIRE_VERSION,
    },
    { chain, signer, clock, log, signal: stopping },
  )
  resources.defer('announcing', () => announcing.ended)
  await announcing.tried
  return axon
}

function requireRegistered(peers: MetagraphPeers, hotkey: Hotkey): void {
  if (peers.neuron(hotkey) !== undefined) return
  throw new MinerError(
    { code: 'MINER_NOT_REGISTERED', hotkey },
    `${hotkey} is not registered on this subnet: register it, then start the miner`,
  )
}

const lengthOf = (text: '5' | '10' | '20'): 5 | 10 | 20 =>
  text === '5' ? 5 : text === '10' ? 10 : 20
