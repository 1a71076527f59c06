import { ChainError } from './errors.js'

export const FINNEY_GENESIS = '0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03'
export const TEST_GENESIS = '0x8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105'

export interface Network {
  /** In order of preference. */
  readonly endpoints: readonly string[]
  /** Only of public networks: a local one has a genesis of its own each time. */
  readonly genesisHash?: string
}

const NETWORKS: Readonly<Record<string, Network>> = {
  finney: {
    endpoints: [
      'wss://entrypoint-finney.opentensor.ai:443',
      'wss://archive.chain.opentensor.ai:443',
    ],
    genesisHash: FINNEY_GENESIS,
  },
  test: { endpoints: ['wss://test.finney.opentensor.ai:443'], genesisHash: TEST_GENESIS },
  local: { endpoints: ['ws://127.0.0.1:9944'] },
}

/**
 * Endpoints from names and URLs, separated by commas: `finney`, `test`, `local`, or `ws://` and
 * `wss://` URLs in order of preference. A list of URLs that starts with a network's name keeps that
 * network's genesis, so that a wrong URL in it is noticed.
 *
 * @throws ChainError CHAIN_ENDPOINT_INVALID
 * @example resolveNetwork('wss://my-node:9944,finney').endpoints[0] // 'wss://my-node:9944'
 */
export function resolveNetwork(text: string): Network {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
  if (words.length === 0) throw invalid(text)
  const named = words.map((word) => NETWORKS[word])
  const endpoints = words.flatMap((word, i) => named[i]?.endpoints ?? [checkEndpoint(word)])
  const genesis = new Set(named.flatMap((network) => network?.genesisHash ?? []))
  if (genesis.size > 1) throw invalid(text)
  const [genesisHash] = genesis
  return {
    endpoints: [...new Set(endpoints)],
    ...(genesisHash === undefined ? {} : { genesisHash }),
  }
}

function checkEndpoint(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !['ws:', 'wss:'].includes(url.protocol)) throw invalid(endpoint)
  return endpoint
}

function invalid(endpoint: string): ChainError {
  return new ChainError(
    { code: 'CHAIN_ENDPOINT_INVALID', endpoint },
    `${JSON.stringify(endpoint)} is not a chain endpoint: give finney, test, local, or ws:// and wss:// URLs of one network`,
  )
}
