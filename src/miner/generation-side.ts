import { join } from 'node:path'
import type { AxonRoute } from '../axon/index.js'
import { describeError } from '../lib/errors.js'
import { connectProducer, LiveFeed } from '../queue/index.js'
import { loadSigningKey } from '../storage/index.js'
import { SHIPPED_WORKFLOWS, WorkflowStore } from '../workflows/index.js'
import { blockedBy } from './blocked.js'
import { generateRoutes, type LiveAddress } from './handlers/generate.js'
import type { HandlerModules } from './handlers/modules.js'
import { LiveCredentials } from './live/credential.js'
import { LiveProxy } from './live/proxy.js'
import type { Shared } from './shared.js'

/** The synapses of generation, and the servers on which callers watch their tasks. */
export async function generationRoutes(
  shared: Shared,
  handlers: HandlerModules,
  externalIp: string,
): Promise<AxonRoute[]> {
  const { config, context } = shared
  const { log, resources } = context
  const redis = connectProducer(config['redis.url'].reveal(), log)
  resources.defer('live feed', () => redis.disconnect())
  const live = new LiveFeed(redis, config['queue.prefix'])
  resources.use('live feed subscriber', live)
  const offers = handlers.offer.kinds.has('generate')
  const address =
    offers && config['miner.live'] ? await openLive(shared, handlers, live, externalIp) : undefined
  const store = offers
    ? await WorkflowStore.open(SHIPPED_WORKFLOWS, config['workflows.folder'])
    : undefined
  const name = config['miner.generate_workflow']
  return generateRoutes(
    {
      timeoutMs: config['miner.generate_timeout_seconds'] * 1_000,
      minStake: config['subtensor.network'] === 'test' ? 0 : config['miner.generate_min_stake'],
      isBlocked: blockedBy(
        'miner.generate_blocked_ips',
        config['miner.generate_blocked_ips'] ?? [],
      ),
    },
    { ...handlers, live, address, promptWorkflow: store?.get(name) },
  )
}

/** Watching is a courtesy: a miner whose ports are taken works without it. */
async function openLive(
  { config, context }: Shared,
  { queue }: HandlerModules,
  feed: LiveFeed,
  host: string,
): Promise<LiveAddress | undefined> {
  const { log, clock, rng, resources } = context
  const key = await loadSigningKey(join(config['neuron.data_dir'], 'live.key'), rng)
  const credentials = new LiveCredentials(key)
  const proxy = new LiveProxy({ feed, queue, credentials, clock, log })
  const port = config['axon.port'] + 1
  try {
    await proxy.listen(config['axon.ip'], port)
  } catch (error) {
    log.warn(
      { event: 'live.unavailable', port, reason: describeError(error) },
      'the ports above the axon cannot be used: tasks cannot be watched',
    )
    return undefined
  }
  resources.use('live proxy', proxy)
  const external = (config['axon.external_port'] ?? config['axon.port']) + 1
  return { host, port: external, issue: (jobId) => credentials.issue(jobId, clock.now()) }
}
