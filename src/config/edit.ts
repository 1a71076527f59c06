import { loadConfig } from './load.js'
import type { SettingName } from './settings.js'

const escaped = (text: string) => text.replace(/[.\\]/g, '\\$&')

/**
 * The text of a TOML configuration file with numbers set, comments and everything else as they were.
 * Settings of one table, e.g. `miner.upscale_slots`. @throws ConfigError when the outcome is not valid
 */
export function withNumbers(
  text: string,
  values: Readonly<Partial<Record<SettingName, number>>>,
): string {
  let lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  for (const [name, value] of Object.entries(values)) {
    const dot = name.indexOf('.')
    const [table, key] = [name.slice(0, dot), name.slice(dot + 1)]
    const isTable = (line: string) => new RegExp(`^\\s*\\[\\s*${escaped(table)}\\s*\\]`).test(line)
    const own = new RegExp(`^\\s*${escaped(name)}\\s*=`)
    const short = new RegExp(`^\\s*${escaped(key)}\\s*=`)
    let inTable = false
    lines = lines.filter((line) => {
      if (/^\s*\[/.test(line)) inTable = isTable(line)
      return !(inTable ? short : own).test(line)
    })
    const header = lines.findIndex(isTable)
    if (header < 0) lines.unshift(`${name} = ${value}`)
    else lines.splice(header + 1, 0, `${key} = ${value}`)
  }
  const edited = `${lines.join('\n')}\n`
  loadConfig({ argv: ['--config', 'edited'], env: {}, readFile: () => edited })
  return edited
}
