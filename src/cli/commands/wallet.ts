import { networkOf, openSigner } from '../../neuron/index.js'
import { createDevWallet, loadColdkeypub, signerFromUri } from '../../wallet/index.js'
import { formatTao, parseWords, toJson, usage, withChain } from '../chain-command.js'
import type { Command, CommandIo } from '../command.js'

const VERB = 'wallet'

export const command: Command = {
  summary: 'show the wallet, its balance, or make one for a local network',
  usage: `usage: subreel wallet show [--json] [settings]
       subreel wallet balance [ADDRESS] [--json] [settings]
       subreel wallet dev create [--coldkey //NAME] [--hotkey //NAME] [--json] [settings]

show     addresses of wallet.name and wallet.hotkey, from their files
balance  free balance of the coldkey, or of an address (on a local network also //NAME)
dev      writes unencrypted keys: for local networks and tests only`,

  async run(argv, io) {
    const words = parseWords(VERB, argv, io, { values: ['--coldkey', '--hotkey'] })
    const [verb, ...rest] = words.positionals
    if (verb === 'show' && rest.length === 0) return show(words, io)
    if (verb === 'balance' && rest.length <= 1) return balance(words, rest[0], io)
    if (verb === 'dev' && rest.length === 1 && rest[0] === 'create') return createDev(words, io)
    throw usage(VERB, command.usage)
  },
}

type Words = ReturnType<typeof parseWords>

function locationOf({ config }: Words) {
  return { path: config['wallet.path'], name: config['wallet.name'] }
}

async function show(words: Words, io: CommandIo): Promise<number> {
  const { config, switches } = words
  const where = locationOf(words)
  const hotkeyName = config['wallet.hotkey']
  const [coldkey, hotkey] = await Promise.all([
    hotkeyName.startsWith('//') ? undefined : loadColdkeypub(where),
    openSigner(config, io.env),
  ])
  const report = { ...where, coldkey, hotkeyName, hotkey: hotkey.address, scheme: hotkey.scheme }
  if (switches.has('--json')) io.out(toJson(report))
  else {
    io.out(`wallet   ${where.name} in ${where.path}`)
    io.out(`coldkey  ${coldkey ?? '(a development key has none)'}`)
    io.out(`hotkey   ${hotkey.address} (${hotkeyName}, ${hotkey.scheme})`)
  }
  return 0
}

async function balance(words: Words, given: string | undefined, io: CommandIo): Promise<number> {
  const where = locationOf(words)
  const key = given ?? (where.name.startsWith('//') ? where.name : await loadColdkeypub(where))
  const chainEndpoint = networkOf(words.config).endpoints[0] ?? ''
  const address = key.startsWith('//') ? signerFromUri(key, { chainEndpoint }).address : key
  return withChain(words.config, async (chain) => {
    const rao = await chain.balance(address, { signal: io.signal })
    if (words.switches.has('--json')) io.out(toJson({ address, rao }))
    else io.out(`${address}  ${formatTao(rao)}`)
    return 0
  })
}

async function createDev(words: Words, io: CommandIo): Promise<number> {
  const where = locationOf(words)
  const coldkeyUri = words.values.get('--coldkey')
  const hotkeyUri = words.values.get('--hotkey')
  const made = await createDevWallet({
    ...where,
    hotkey: words.config['wallet.hotkey'],
    ...(coldkeyUri === undefined ? {} : { coldkeyUri }),
    ...(hotkeyUri === undefined ? {} : { hotkeyUri }),
  })
  if (words.switches.has('--json')) io.out(toJson({ ...where, ...made }))
  else {
    io.out(`coldkey  ${made.coldkey}`)
    io.out(`hotkey   ${made.hotkey}`)
    io.err('these keys are not encrypted: use them on local networks only')
  }
  return 0
}
