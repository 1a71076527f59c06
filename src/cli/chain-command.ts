import { type Chain, createChain } from '../chain/index.js'
import { type Config, loadConfig } from '../config/index.js'
import { networkOf } from '../neuron/index.js'
import { type Netuid, toNetuid } from '../protocol/units.js'
import type { CommandIo } from './command.js'
import { CliError } from './errors.js'

/** The words of a verb that talks to the chain: its own flags, then settings, then positionals. */
export interface ChainWords {
  readonly config: Config
  readonly positionals: readonly string[]
  /** The switches given, of those known. */
  readonly switches: ReadonlySet<string>
  /** Values of the flags that take one. */
  readonly values: ReadonlyMap<string, string>
}

/** Splits the verb's own flags from settings. @throws CliError CLI_USAGE, ConfigError */
export function parseWords(
  verb: string,
  argv: readonly string[],
  io: CommandIo,
  own: { readonly switches?: readonly string[]; readonly values?: readonly string[] } = {},
): ChainWords {
  const known = new Set(['--json', ...(own.switches ?? [])])
  const valued = new Set(own.values ?? [])
  const switches = new Set<string>()
  const values = new Map<string, string>()
  const rest: string[] = []
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? ''
    const [flag = '', inline] = word.split(/=(.*)/s)
    if (known.has(word)) switches.add(word)
    else if (valued.has(flag)) {
      if (inline === undefined) i += 1
      const value = inline ?? argv[i]
      if (value === undefined) throw usage(verb, `${flag} needs a value`)
      values.set(flag, value)
    } else rest.push(word)
  }
  const ownFlags = [...known, ...valued].map((flag) => flag.slice(2))
  const { config, positionals } = loadConfig({ argv: rest, env: io.env, ownFlags })
  return { config, positionals, switches, values }
}

/** Somebody waits at the terminal; a first connection to a far node takes seconds. */
const PATIENCE_MS = 30_000

/** Runs with a chain client and closes it. */
export async function withChain(
  config: Config,
  run: (chain: Chain) => Promise<number>,
): Promise<number> {
  const chain = createChain({ ...networkOf(config), operationTimeoutMs: PATIENCE_MS })
  try {
    return await run(chain)
  } finally {
    await chain.close()
  }
}

/** The words of a verb about one subnet that takes no positionals. @throws CliError CLI_USAGE, ConfigError */
export function parseSubnetWords(
  verb: string,
  argv: readonly string[],
  io: CommandIo,
  help: string,
  own?: Parameters<typeof parseWords>[3],
): ChainWords & { readonly netuid: Netuid } {
  const words = parseWords(verb, argv, io, own)
  if (words.positionals.length > 0) throw usage(verb, help)
  return { ...words, netuid: requireNetuid(verb, words.config) }
}

/** @throws CliError CLI_USAGE */
export function requireNetuid(verb: string, config: Config): Netuid {
  if (config.netuid === undefined) throw usage(verb, 'give the subnet with --netuid N')
  return toNetuid(config.netuid)
}

export function usage(verb: string, message: string): CliError {
  return new CliError({ code: 'CLI_USAGE', verb }, message)
}

/** JSON with bigints as decimal text. */
export function toJson(value: unknown): string {
  return JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item),
    2,
  )
}

/** An amount in TAO as rao. @throws CliError CLI_USAGE */
export function parseTao(verb: string, flag: string, text: string): bigint {
  const match = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text)
  if (match === null) throw usage(verb, `${flag} takes an amount in TAO such as 0.25, not ${text}`)
  return BigInt(match[1] ?? '0') * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'))
}

/** Rao as TAO with all nine decimals kept exact. */
export function formatTao(rao: bigint): string {
  const digits = rao.toString().padStart(10, '0')
  return `${digits.slice(0, -9)}.${digits.slice(-9)} TAO`
}

/** Rows in columns, the first one a heading. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length)
    })
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
