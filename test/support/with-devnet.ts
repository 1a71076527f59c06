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
