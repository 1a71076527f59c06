import { createChain, createMetrics, resolveNetwork } from './chain/index.js'
import type { Config } from './config/index.js'
import { startProcess } from './config/start.js'
import type { DaemonContext } from './lib/daemon.js'
import { startMiner } from './miner/miner.js'
import { loadHotkey } from './wallet/index.js'

const network = (config: Config) =>
  resolveNetwork(config['subtensor.chain_endpoint']?.join(',') ?? config['subtensor.network'])

async function openChain(config: Config, { log, clock, rng, registry }: DaemonContext) {
  const metrics = createMetrics(registry)
  return createChain({ ...network(config), log, clock, rng, metrics })
}

function openHotkey(config: Config) {
  const [chainEndpoint] = network(config).endpoints
  return loadHotkey({
    path: config['wallet.path'],
    name: config['wallet.name'],
    hotkey: config['wallet.hotkey'],
    ...(chainEndpoint === undefined ? {} : { chainEndpoint }),
  })
}

process.exitCode = await startProcess({
  process: 'miner',
  usage:
    'node dist/miner.js --netuid N [--role all|axon|worker] [options]: takes tasks of a subnet and works on them.',
  start: (config, context) => startMiner(config, context, { chain: openChain, signer: openHotkey }),
})
