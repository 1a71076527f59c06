import { readFileSync } from 'node:fs'
import { parse as parseToml, TomlError } from 'smol-toml'
import { withoutCredentials } from '../lib/secret.js'
import { ConfigError } from './errors.js'
import {
  type Config,
  type ProcessName,
  SETTINGS,
  type Setting,
  type SettingName,
} from './settings.js'
import { strayStoreNames } from './stray-names.js'

export type Origin = 'flag' | 'environment' | 'file' | 'default' | 'unset'

export interface Effective {
  readonly config: Config
  /** Where each value came from. */
  readonly origins: Readonly<Record<SettingName, Origin>>
  /** Environment variables that were read, where they are not the setting's own. */
  readonly envNames: Readonly<Partial<Record<SettingName, string>>>
  /** Words that are neither flags nor their values. */
  readonly positionals: readonly string[]
  readonly help: boolean
}

export interface LoadInput {
  /** Without node and script. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Which process starts: decides what is required. Absent: nothing is. */
  readonly process?: ProcessName
  readonly readFile?: (path: string) => string
  /** Flags that the caller takes for itself, without dashes: they are suggested too. */
  readonly ownFlags?: readonly string[]
}

/** What a process may be asked for instead of running. */
export const SHOW = 'config show'

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

const normal = (flag: string) => flag.replaceAll('-', '_').toLowerCase()
const BY_NORMAL_NAME = new Map(SETTING_NAMES.map((name) => [normal(name), name]))

/** Every environment variable that is read. */
const ENV_NAMES = SETTING_NAMES.flatMap((name) => envNamesOf(SETTINGS[name]))

/** The table's row, seen without its literal type. */
export const settingOf = (name: SettingName): Setting => SETTINGS[name]

/** True when `name` is used by `process`. */
export function appliesTo(name: SettingName, process: ProcessName): boolean {
  const of = settingOf(name).for
  return of === undefined || of.includes(process)
}

/**
 * The effective configuration: flag over environment over file over default. All problems are
 * reported together.
 * @throws ConfigError
 */
export function loadConfig(input: LoadInput): Effective {
  const problems: string[] = []
  const flags = parseFlags(input, problems)
  const path = flags.configPath ?? input.env['SUBREEL_CONFIG']
  const file = readConfigFile(flags.help ? undefined : path, input, problems)
  const words = flags.positionals.join(' ')
  if (input.process !== undefined && words !== '' && words !== SHOW)
    problems.push(`unexpected argument: ${words}`)
  if (input.process === undefined || appliesTo('bucket.type', input.process))
    problems.push(...strayStoreNames(input.env, ENV_NAMES))
  const values: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  const envNames: Partial<Record<SettingName, string>> = {}
  for (const name of SETTING_NAMES) {
    const of = settingOf(name)
    const { given, clash } = fromEnvironment(of, input.env)
    if (clash !== undefined) problems.push(clash)
    if (given !== undefined && given.name !== of.env) envNames[name] = given.name
    const found = firstGiven(name, of, flags.values, given, file)
    origins[name] = found.origin
    if (found.origin === 'unset') {
      values[name] = undefined
      if (input.process !== undefined && of.requiredFor?.includes(input.process)) {
        problems.push(
          `--${name} is required${of.env === undefined ? '' : ` (or ${of.env})`}: ${of.help}`,
        )
      }
      continue
    }
    const parsed = of.schema.safeParse(found.value)
    if (parsed.success) values[name] = parsed.data
    else {
      const messages = new Set(parsed.error.issues.map(({ message }) => message))
      for (const message of messages)
        problems.push(`${found.where} ${message}${shown(name, found.value)}`)
    }
  }
  // Who names a bucket means to use it.
  if (origins['bucket.type'] === 'default' && values['bucket.name'] !== undefined) {
    values['bucket.type'] = 's3'
    origins['bucket.type'] = origins['bucket.name'] ?? 'default'
    const by = envNames['bucket.name'] ?? settingOf('bucket.name').env
    if (by !== undefined) envNames['bucket.type'] = by
  }
  if (problems.length > 0 && !flags.help) {
    const list = problems.map((problem) => `  - ${problem}`).join('\n')
    throw new ConfigError(
      { code: 'CONFIG_INVALID', problems },
      `${problems.length} problem${problems.length === 1 ? '' : 's'} in the configuration:\n${list}\nSee --help for all settings.`,
    )
  }
  return {
    config: values as Config,
    origins: origins as Record<SettingName, Origin>,
    envNames,
    positionals: flags.positionals,
    help: flags.help,
  }
}

/** True when the setting's value must not be shown. */
export function isSecret(name: SettingName): boolean {
  return settingOf(name).secret === true
}

function shown(name: SettingName, value: unknown): string {
  if (isSecret(name)) return ''
  return `, got ${JSON.stringify(typeof value === 'string' ? withoutCredentials(value) : value)}`
}

function firstGiven(
  name: SettingName,
  of: Setting,
  flags: ReadonlyMap<SettingName, string>,
  env: { readonly name: string; readonly value: string } | undefined,
  file: ReadonlyMap<SettingName, unknown>,
): { origin: Origin; value?: unknown; where: string } {
  const flag = flags.get(name)
  if (flag !== undefined) return { origin: 'flag', value: flag, where: `--${name}` }
  if (env !== undefined) return { origin: 'environment', value: env.value, where: env.name }
  const fromFile = file.get(name)
  if (fromFile !== undefined)
    return { origin: 'file', value: fromFile, where: `${name} in the configuration file` }
  if (of.default !== undefined)
    return { origin: 'default', value: of.default, where: `default of ${name}` }
  return { origin: 'unset', where: name }
}

function envNamesOf({ env, envAliases = [] }: Setting): readonly string[] {
  return env === undefined ? envAliases : [env, ...envAliases]
}

/** What the environment says of a setting under any of its names. */
function fromEnvironment(of: Setting, env: LoadInput['env']) {
  const given = envNamesOf(of).flatMap((name) => {
    const value = env[name] ?? ''
    return value === '' ? [] : [{ name, value }]
  })
  const [first] = given
  const other = given.find(({ value }) => value !== first?.value)
  const clash =
    other === undefined
      ? undefined
      : `${first?.name} and ${other.name} mean the same setting and differ: set one of them`
  return { given: first, clash }
}

interface Flags {
  readonly values: ReadonlyMap<SettingName, string>
  readonly positionals: readonly string[]
  readonly help: boolean
  readonly configPath: string | undefined
}

const isBoolean = (name: SettingName) => settingOf(name).schema.safeParse('true').data === true

function parseFlags(input: LoadInput, problems: string[]): Flags {
  const { argv } = input
  const values = new Map<SettingName, string>()
  const positionals: string[] = []
  let help = false
  let configPath: string | undefined
  for (let i = 0; i < argv.length; i += 1) {
    const word = argv[i] ?? ''
    if (word === '-h' || word === '--help') {
      help = true
      continue
    }
    if (word === '--') continue
    if (/^-[a-z]/i.test(word)) {
      const flag = nearest(word.slice(1), input)
      problems.push(`${word} is not a flag, which begin with two dashes; did you mean --${flag}?`)
      continue
    }
    if (!word.startsWith('--')) {
      positionals.push(word)
      continue
    }
    const equals = word.indexOf('=')
    const flag = word.slice(2, equals < 0 ? undefined : equals)
    const inline = equals < 0 ? undefined : word.slice(equals + 1)
    const next = () => {
      if (inline !== undefined) return inline
      const following = argv[i + 1]
      if (following === undefined || following.startsWith('--')) return undefined
      i += 1
      return following
    }
    if (flag === 'config') {
      configPath = next()
      if (configPath === undefined) problems.push('--config needs the path of a TOML file')
      continue
    }
    const negated = /^no[-_.]/.test(flag) ? BY_NORMAL_NAME.get(normal(flag.slice(3))) : undefined
    const name = BY_NORMAL_NAME.get(normal(flag)) ?? negated
    if (name === undefined) {
      problems.push(`--${flag} is not a setting; did you mean --${nearest(flag, input)}?`)
      next()
    } else if (name === negated) {
      if (!isBoolean(name))
        problems.push(`--${flag}: ${name} is not a switch; leave it out instead`)
      else if (inline !== undefined) problems.push(`--${flag} takes no value`)
      else values.set(name, 'false')
    } else if (isBoolean(name)) {
      const following = argv[i + 1]?.toLowerCase()
      const explicit =
        inline ?? (/^(true|false|yes|no|on|off|1|0)$/.test(following ?? '') ? next() : 'true')
      values.set(name, explicit ?? 'true')
    } else {
      const value = next()
      if (value === undefined) problems.push(`--${name} needs a value`)
      else values.set(name, value)
    }
  }
  return { values, positionals, help, configPath }
}

/** The flag with the smallest edit distance, for "did you mean". */
function nearest(flag: string, { process, ownFlags = [] }: LoadInput): string {
  const used = SETTING_NAMES.filter((name) => process === undefined || appliesTo(name, process))
  return nearestWord(flag, [...ownFlags, ...used]) ?? 'help'
}

/** The word with the smallest edit distance, case and `-` for `_` aside. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  const wanted = normal(word)
  const ranked = known.map((name) => ({ name, distance: editDistance(wanted, normal(name)) }))
  ranked.sort((a, b) => a.distance - b.distance)
  return ranked[0]?.name
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function readConfigFile(
  path: string | undefined,
  input: LoadInput,
  problems: string[],
): ReadonlyMap<SettingName, unknown> {
  const values = new Map<SettingName, unknown>()
  if (path === undefined || path === '') return values
  const read = input.readFile ?? ((file: string) => readFileSync(file, 'utf8'))
  let table: unknown
  try {
    table = parseToml(read(path))
  } catch (cause) {
    const reason =
      cause instanceof TomlError
        ? `line ${cause.line}: ${cause.message.split('\n')[0]}`
        : (cause as Error).message
    throw new ConfigError(
      { code: 'CONFIG_FILE_UNREADABLE', path },
      `cannot use ${path}: ${reason}`,
      { cause },
    )
  }
  for (const [key, value] of flatten(table, '')) {
    const name = BY_NORMAL_NAME.get(normal(key))
    if (name === undefined)
      problems.push(`${key} in ${path} is not a setting; did you mean ${nearest(key, input)}?`)
    else values.set(name, value)
  }
  return values
}

function* flatten(value: unknown, prefix: string): Generator<[string, unknown]> {
  const isTable = typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date)
  if (value === null || !isTable) {
    yield [prefix, value]
    return
  }
  for (const [key, inner] of Object.entries(value)) {
    yield* flatten(inner, prefix === '' ? key : `${prefix}.${key}`)
  }
}
