import { networkOf, openSigner } from '../../neuron/index.js'
import { toRao } from '../../protocol/units.js'
import { signerFromUri, terminalPrompt, unlockColdkey } from '../../wallet/index.js'
import { formatTao, parseSubnetWords, parseTao, toJson, withChain } from '../chain-command.js'
import type { Command } from '../command.js'

const VERB = 'register'

export const command: Command = {
  summary: 'register the hotkey in a subnet by burning the price, within a limit',
  usage: `usage: subreel register --netuid N [--limit TAO] [--json] [settings]

Without --limit it only shows the price. With it, the coldkey pays at most that much. Its password is
asked for, or read from the variable that btcli uses. On a local network wallet.name may be a
development key such as //Alice.`,

  async run(argv, io) {
    const { config, netuid, switches, values } = parseSubnetWords(VERB, argv, io, command.usage, {
      values: ['--limit'],
    })
    const limitText = values.get('--limit')
    const limit = limitText === undefined ? undefined : parseTao(VERB, '--limit', limitText)
    const json = switches.has('--json')
    return withChain(config, async (chain) => {
      const call = { signal: io.signal }
      const { burn, registrationAllowed } = await chain.hyperparameters(netuid, call)
      if (!json) io.out(`registering in subnet ${netuid} costs ${formatTao(burn)} now`)
      if (limit === undefined) {
        if (json) io.out(toJson({ netuid, price: burn, registrationAllowed }))
        else io.out('nothing was sent: repeat with --limit TAO to register')
        return 0
      }
      const path = config['wallet.path']
      const name = config['wallet.name']
      const chainEndpoint = networkOf(config).endpoints[0] ?? ''
      const { address: hotkey } = await openSigner(config, io.env)
      const prompt = terminalPrompt(process.stdin, process.stderr)
      const coldkey = name.startsWith('//')
        ? signerFromUri(name, { chainEndpoint })
        : await unlockColdkey({
            path,
            name,
            env: io.env,
            ...(prompt === undefined ? {} : { prompt }),
          })
      const result = await chain.register(coldkey, { netuid, hotkey, limit: toRao(limit) }, call)
      const uid =
        result.outcome === 'refused'
          ? undefined
          : (await chain.metagraph(netuid, call)).neurons.find((n) => n.hotkey === hotkey)?.uid
      if (json) io.out(toJson({ netuid, price: burn, hotkey, uid, ...result }))
      else if (result.outcome === 'refused') io.err(`${result.error}: ${result.message}`)
      else if (result.outcome === 'unchanged') io.out(`${hotkey} is registered already, uid ${uid}`)
      else io.out(`${hotkey} is registered, uid ${uid}, in block ${result.block}`)
      return result.outcome === 'refused' ? 1 : 0
    })
  },
}
