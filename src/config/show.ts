import { withoutCredentials } from '../lib/secret.js'
import { appliesTo, type Effective, isSecret, SETTING_NAMES, settingOf } from './load.js'
import type { ProcessName, SettingName } from './settings.js'

export interface ShownSetting {
  readonly name: SettingName
  /** The effective value; secrets read `[Redacted]`. */
  readonly value: unknown
  readonly origin: string
  readonly env: string | undefined
}

/** Every setting with its effective value and where it came from, secrets masked. */
export function showConfig(effective: Effective, process?: ProcessName): ShownSetting[] {
  return SETTING_NAMES.filter((name) => process === undefined || appliesTo(name, process)).map(
    (name) => ({
      name,
      value: mask(name, effective.config[name]),
      origin: effective.origins[name],
      env: effective.envNames[name] ?? settingOf(name).env,
    }),
  )
}

function mask(name: SettingName, value: unknown): unknown {
  if (value === undefined) return null
  if (isSecret(name)) return '[Redacted]'
  if (typeof value === 'string') return value.split(',').map(withoutCredentials).join(',')
  if (Array.isArray(value)) return value.map((item) => withoutCredentials(String(item)))
  return value
}

/** The text of `config show`. */
export function formatConfig(rows: readonly ShownSetting[]): string {
  const width = Math.max(...rows.map((row) => row.name.length))
  return rows
    .map((row) => {
      const value =
        row.value === null
          ? '(none)'
          : Array.isArray(row.value)
            ? row.value.join(',')
            : String(row.value)
      return `${row.name.padEnd(width)}  ${value}  (${row.origin === 'environment' ? row.env : row.origin})`
    })
    .join('\n')
}

/** The text of `--help`: usage, then every setting with its environment name and default. */
export function formatHelp(usage: string, process: ProcessName): string {
  const lines = SETTING_NAMES.filter((name) => appliesTo(name, process)).map((name) => {
    const of = settingOf(name)
    const notes = [
      of.requiredFor?.includes(process) === true ? 'required' : undefined,
      of.default === undefined ? undefined : `default ${of.default}`,
      of.env,
    ].filter((note) => note !== undefined)
    return `  --${name}${notes.length === 0 ? '' : `  (${notes.join('; ')})`}\n      ${of.help}`
  })
  return [
    usage,
    '',
    'Settings, as flags (--a.b value, --a.b=value, --no-a.b), environment variables, or a TOML file:',
    '  --config FILE  (SUBREEL_CONFIG)\n      TOML file with the same names; flags beat the environment, which beats the file.',
    ...lines,
    '',
  ].join('\n')
}
