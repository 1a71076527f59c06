import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { loadColdkeypub, WalletError } from '../../wallet/index.js'
import { type Check, type CheckResult, fail, ok, warn } from './check.js'

/** What to do, where the error's own sentence does not say it. */
const FIXES: Readonly<Record<string, string>> = {
  WALLET_FILE_MISSING: 'btcli wallet new-hotkey, or set --wallet.name and --wallet.hotkey',
  WALLET_FILE_EXPOSED: 'let only its owner read it: chmod 600',
  WALLET_DEV_KEY_REFUSED: 'use a real hotkey on a public network',
}

/** The hotkey opens, as a daemon opens it, and the coldkey is elsewhere. */
export const walletCheck: Check = {
  name: 'wallet',
  async run({ config, signer }) {
    const hotkey = config['wallet.hotkey']
    try {
      const { address, scheme } = await signer()
      if (hotkey.startsWith('//'))
        return warn(`development key ${hotkey}`, 'use a real hotkey on a public network')
      return [ok(`hotkey ${hotkey} is ${address} (${scheme})`), ...(await coldkeyOf(config))]
    } catch (error) {
      if (!(error instanceof WalletError)) throw error
      return fail(error.message, FIXES[error.code] ?? 'as it says, or set another --wallet.hotkey')
    }
  },
}

async function coldkeyOf(config: Parameters<Check['run']>[0]['config']): Promise<CheckResult[]> {
  const where = { path: config['wallet.path'], name: config['wallet.name'] }
  const coldkey = join(where.path, where.name, 'coldkey')
  const results: CheckResult[] = []
  if (existsSync(coldkey))
    results.push(warn(`${coldkey} is on this host`, 'keep it elsewhere: a node needs no coldkey'))
  await loadColdkeypub(where).catch((error: unknown) => {
    if (!(error instanceof WalletError)) throw error
    results.push(warn(error.message, 'copy coldkeypub.txt here: subreel wallet reads it'))
  })
  return results
}
