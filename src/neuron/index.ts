import {
  type Chain,
  createChain,
  createMetrics,
  resolveNetwork,
  type WeightLedger,
} from '../chain/index.js'
import type { Config } from '../config/index.js'
import type { DaemonContext } from '../lib/daemon.js'
import { loadHotkey, type Signer } from '../wallet/index.js'

/** Endpoints that the settings ask for, in order of preference. */
export function networkOf(config: Config) {
  return resolveNetwork(
    config['subtensor.chain_endpoint']?.join(',') ?? config['subtensor.network'],
  )
}

/** The chain that the settings name. The caller closes it. */
export function openChain(
  config: Config,
  context: DaemonContext,
  parts: { readonly ledger?: WeightLedger } = {},
): Chain {
  const { clock, rng, log, registry } = context
  return createChain({
    ...networkOf(config),
    clock,
    rng,
    log: log.child({ component: 'chain' }),
    metrics: createMetrics(registry),
    weightsVersion: BigInt(config['neuron.weights_version']),
    ...parts,
  })
}

/**
 * The hotkey that the settings name. A password comes from the environment, as bittensor names it.
 * @throws WalletError
 */
export function openSigner(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Signer> {
  const [chainEndpoint] = networkOf(config).endpoints
  return loadHotkey({
    path: config['wallet.path'],
    name: config['wallet.name'],
    hotkey: config['wallet.hotkey'],
    env,
    ...(chainEndpoint === undefined ? {} : { chainEndpoint }),
  })
}
