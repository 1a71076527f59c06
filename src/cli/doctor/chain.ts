import { createChain } from '../../chain/index.js'
import { withoutCredentials } from '../../lib/secret.js'
import { networkOf } from '../../neuron/index.js'
import { toNetuid } from '../../protocol/units.js'
import { WalletError } from '../../wallet/index.js'
import { type Check, type CheckResult, fail, ok, warn } from './check.js'

const CONNECT_TIMEOUT_MS = 4_000
/** All endpoints, one after the other. */
const TIMEOUT_MS = 8_000

/** An endpoint answers, the subnet exists, and the hotkey is registered in it. */
export const chainCheck: Check = {
  name: 'chain',
  async run({ config, signal, signer }) {
    const network = networkOf(config)
    const shown = network.endpoints.map(withoutCredentials).join(', ')
    const chain = createChain({
      ...network,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      requestTimeoutMs: CONNECT_TIMEOUT_MS,
      operationTimeoutMs: TIMEOUT_MS,
    })
    try {
      const { number } = await chain.head({ signal })
      const results: CheckResult[] = [ok(`block ${number} of ${shown}`)]
      if (config.netuid === undefined) return results
      const { neurons } = await chain.metagraph(toNetuid(config.netuid), { signal })
      let hotkey: string
      try {
        hotkey = (await signer()).address
      } catch (error) {
        // The wallet's own line says what is wrong with it.
        if (error instanceof WalletError) return results
        throw error
      }
      const neuron = neurons.find((one) => one.hotkey === hotkey)
      results.push(
        neuron === undefined
          ? warn(`${hotkey} is not registered in subnet ${config.netuid}`, 'subreel register')
          : ok(`${hotkey} is uid ${neuron.uid} of ${neurons.length} in subnet ${config.netuid}`),
      )
      return results
    } catch {
      return fail(
        `none of ${shown} answers as it should`,
        'check --subtensor.network or --subtensor.chain_endpoint, and the way out of this host',
      )
    } finally {
      await chain.close()
    }
  },
}
