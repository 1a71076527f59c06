import { type Chain, type ChainOptions, createChain } from '#src/chain/index.js'
import {
  DEV_SUBNET,
  type Devnet,
  type DevnetOptions,
  type GenesisHyperparameters,
  startDevnet,
} from '#src/devnet/index.js'
import { withResolvers } from '#src/lib/resources.js'
import { signerFromUri } from '#src/wallet/index.js'

export const validator = signerFromUri('//Alice')
export const miner = signerFromUri('//Bob')
export const outsider = signerFromUri('//Eve')

/** A devnet with a validator (uid 0), two miners (uids 1 and 2) and free registration. */
export async function startTestnet(
  hyperparameters: GenesisHyperparameters = {},
  options: DevnetOptions = {},
): Promise<Devnet & AsyncDisposable> {
  const net = await startDevnet({
    blocks: 'instant',
    subnets: [
      {
        ...DEV_SUBNET,
        hyperparameters: { ...DEV_SUBNET.hyperparameters, ...hyperparameters },
        neurons: [
          { hotkey: '//Alice', stake: 1_000, validatorPermit: true },
          { hotkey: '//Bob' },
          { hotkey: '//Charlie' },
        ],
      },
    ],
    ...options,
  })
  return Object.assign(net, { [Symbol.asyncDispose]: () => net.close() })
}

/** A client of these devnets that does not mind blocks made by hand. */
export function clientOf(
  nets: readonly Devnet[],
  options: Partial<ChainOptions> = {},
): Chain & AsyncDisposable {
  const chain = createChain({
    endpoints: nets.map(({ url }) => url),
    stallMs: 3_600_000,
    blockTimeMs: 250,
    backoff: { attempts: 1, baseMs: 20, maxMs: 200 },
    ...options,
  })
  return Object.assign(chain, { [Symbol.asyncDispose]: () => chain.close() })
}

/** Makes blocks and waits until the client has seen the last one. */
export async function advance(chain: Chain, net: Devnet, count = 1): Promise<void> {
  const seen = withResolvers<void>()
  let wanted = Number.POSITIVE_INFINITY
  const watching = chain.watchHeads(({ number }) => {
    if (number >= wanted) seen.resolve()
  })
  await chain.head()
  wanted = net.advance(count)
  if ((await chain.head()).number >= wanted) seen.resolve()
  await seen.promise
  watching.close()
}
