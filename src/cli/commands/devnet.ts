import { parseArgs } from 'node:util'
import {
  type BlockMode,
  DEV_ACCOUNTS,
  DEV_SUBNET,
  type GenesisNeuron,
  type GenesisSubnet,
  RUNTIME_MODELS,
  type RuntimeModel,
  startDevnet,
} from '../../devnet/index.js'
import { createLog } from '../../lib/log.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

const DEFAULT_PORT = '9944'
const FINNEY_BLOCK_MS = 12_000
const FAST_BLOCK_MS = 250

const usage = `usage: subreel devnet [options]

Runs a simulated subtensor for development: a WebSocket JSON-RPC node with one subnet. It is not
the real runtime: see docs/how-to/local-chain.md for what it leaves out.

  --port N            port to listen on (default ${DEFAULT_PORT}; 0 takes a free one)
  --host HOST         address to listen on (default 127.0.0.1; clients control the node)
  --fast              a block every 250 ms instead of every 12 s
  --block-ms N        a block every N milliseconds
  --instant           a block for each extrinsic, none in between
  --netuid N          the subnet's number (default 1)
  --tempo N           blocks of an epoch (default ${DEV_SUBNET.hyperparameters?.tempo})
  --commit-reveal     weights must be committed and revealed
  --neuron SPEC       a neuron from the start: HOTKEY[,stake=N][,permit][,coldkey=KEY]
                      KEY is an ss58 address or a URI such as //Alice; may be repeated
  --accounts LIST     who holds money: KEY=TAO,KEY=TAO ... instead of a million
                      for each of ${DEV_ACCOUNTS.join(' ')}
  --runtime N         446, 425 (default), 393, or 218 from before typed runtime APIs
  --old-runtime       the same as --runtime 218
  --state FILE        keep the chain in FILE and go on from it
  --quiet             log warnings only`

const OPTIONS = {
  port: { type: 'string', default: DEFAULT_PORT },
  host: { type: 'string', default: '127.0.0.1' },
  fast: { type: 'boolean', default: false },
  'block-ms': { type: 'string' },
  instant: { type: 'boolean', default: false },
  netuid: { type: 'string', default: '1' },
  tempo: { type: 'string' },
  'commit-reveal': { type: 'boolean', default: false },
  neuron: { type: 'string', multiple: true, default: [] as string[] },
  accounts: { type: 'string' },
  runtime: { type: 'string', default: '425' },
  'old-runtime': { type: 'boolean', default: false },
  state: { type: 'string' },
  quiet: { type: 'boolean', default: false },
} as const

const wrong = (message: string): CliError =>
  new CliError({ code: 'CLI_USAGE', verb: 'devnet' }, `${message}\n\n${usage}`)

function whole(text: string, option: string, max: number): number {
  const value = Number(text)
  if (/^\d{1,9}$/.test(text) && value <= max) return value
  throw wrong(`--${option} must be a whole number up to ${max}, got ${JSON.stringify(text)}`)
}

function amount(text: string | undefined, what: string): number {
  const value = Number(text)
  if (text !== undefined && text !== '' && value >= 0 && Number.isFinite(value)) return value
  throw wrong(`${what} must be a number, got ${JSON.stringify(text ?? '')}`)
}

/** `HOTKEY[,stake=N][,permit][,coldkey=KEY]` */
export function parseNeuron(spec: string): GenesisNeuron {
  const [hotkey, ...parts] = spec.split(',')
  if (hotkey === undefined || hotkey === '') throw wrong('--neuron needs a hotkey')
  const neuron: { -readonly [K in keyof GenesisNeuron]: GenesisNeuron[K] } = { hotkey }
  for (const part of parts) {
    const [name, value] = part.split('=')
    if (name === 'stake') neuron.stake = amount(value, 'the stake of --neuron')
    else if (name === 'permit' && value === undefined) neuron.validatorPermit = true
    else if (name === 'coldkey' && value) neuron.coldkey = value
    else throw wrong(`--neuron does not know ${JSON.stringify(part)}`)
  }
  return neuron
}

/** `KEY=TAO,KEY=TAO`; a key alone gets a million. */
export function parseAccounts(list: string): Record<string, number> {
  return Object.fromEntries(
    list.split(',').map((entry) => {
      const [key, tao = '1000000'] = entry.split('=')
      if (key === undefined || key === '') throw wrong('--accounts holds an empty key')
      return [key, amount(tao, `the balance of ${key}`)]
    }),
  )
}

function parseRuntime(text: string): RuntimeModel {
  const known = RUNTIME_MODELS.find((model) => String(model) === text)
  if (known !== undefined) return known
  throw wrong(`--runtime must be one of ${RUNTIME_MODELS.join(', ')}, got ${JSON.stringify(text)}`)
}

export const command: Command = {
  summary: 'run a simulated chain for development and tests',
  usage,

  async run(argv, io) {
    const { values } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: false })
    const blockMs =
      values['block-ms'] === undefined
        ? values.fast
          ? FAST_BLOCK_MS
          : FINNEY_BLOCK_MS
        : Math.max(1, whole(values['block-ms'], 'block-ms', 3_600_000))
    const blocks: BlockMode = values.instant ? 'instant' : { everyMs: blockMs }
    const subnet: GenesisSubnet = {
      ...DEV_SUBNET,
      netuid: whole(values.netuid, 'netuid', 4095),
      hyperparameters: {
        ...DEV_SUBNET.hyperparameters,
        commitReveal: values['commit-reveal'],
        ...(values.tempo === undefined ? {} : { tempo: whole(values.tempo, 'tempo', 65_535) }),
      },
      neurons: values.neuron.map(parseNeuron),
    }
    const devnet = await startDevnet({
      host: values.host,
      port: whole(values.port, 'port', 65_535),
      blocks,
      runtime: values['old-runtime'] ? 218 : parseRuntime(values.runtime),
      subnets: [subnet],
      ...(values.accounts === undefined ? {} : { accounts: parseAccounts(values.accounts) }),
      ...(values.state === undefined ? {} : { stateFile: values.state }),
      log: createLog('devnet', { level: values.quiet ? 'warn' : 'info' }),
    })
    const answers = (what: string) =>
      `a simulated chain answers at ${devnet.url} (${what}); Ctrl-C stops it`
    if (devnet.resumedAt === undefined) io.out(answers(`subnet ${subnet.netuid}`))
    else {
      io.out(answers(`from block ${devnet.resumedAt} of ${values.state}`))
      io.err('its subnet, neurons and accounts are those it began with, whatever the options say')
    }
    await new Promise<void>((resolve) => {
      if (io.signal.aborted) resolve()
      io.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await devnet.close()
    return 0
  },
}
