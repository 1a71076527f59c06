import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Check, fail, ok, warn } from './check.js'

export const walletCheck: Check = {
  name: 'wallet',
  async run({ config }) {
    const hotkey = config['wallet.hotkey']
    if (hotkey.startsWith('//'))
      return warn(`development key ${hotkey}`, 'use a real hotkey on a public network')
    const file = join(config['wallet.path'], config['wallet.name'], 'hotkeys', hotkey)
    try {
      const stat = await lstat(file)
      if (!stat.isFile())
        return fail(`${file} is not a plain file`, 'use the key file itself, not a link')
      const mode = stat.mode & 0o777
      if ((mode & 0o077) !== 0)
        return fail(`${file} has mode ${mode.toString(8)}`, `chmod 600 ${file}`)
      return ok(`${file} (mode ${mode.toString(8)})`)
    } catch {
      return fail(
        `${file} does not exist`,
        'btcli wallet new-hotkey, or set --wallet.name and --wallet.hotkey',
      )
    }
  },
}
