import type { ApiPromise } from '@polkadot/api'
import { type Devnet, type DevnetOptions, startDevnet } from '#src/devnet/index.js'
import { connect } from './polkadot.js'

/** Runs a test against a chain of its own with Polkadot-JS connected, and stops both. */
export async function withDevnet(
  options: DevnetOptions,
  use: (api: ApiPromise, devnet: Devnet) => Promise<void>,
): Promise<void> {
  const devnet = await startDevnet({ blocks: 'instant', ...options })
  try {
    const api = await connect(devnet.url)
    try {
      await use(api, devnet)
    } finally {
      await api.disconnect()
    }
  } finally {
    await devnet.close()
  }
}

/** A chain that makes blocks by itself, with subnet 1: //Alice mines, //Bob has a permit and stake. */
export const startMinerNet = (host = '127.0.0.1'): Promise<Devnet> =>
  startDevnet({
    host,
    blocks: { everyMs: 300 },
    subnets: [
      {
        netuid: 1,
        neurons: [
          { hotkey: '//Alice' },
          { hotkey: '//Bob', coldkey: '//Bob', stake: 10_000, validatorPermit: true },
        ],
      },
    ],
  })
