import {
  formatConfig,
  loadConfig,
  PROCESSES,
  type ProcessName,
  showConfig,
} from '../../config/index.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

export const command: Command = {
  summary: 'show the effective configuration and where each value comes from',
  usage: `usage: subreel config show [PROCESS] [--json] [settings]

Prints every setting with its value and origin; secrets are masked.
PROCESS: ${PROCESSES.join(', ')}; all settings when left out.`,

  async run(argv, io) {
    const json = argv.includes('--json')
    const effective = loadConfig({
      argv: argv.filter((word) => word !== '--json'),
      env: io.env,
      ownFlags: ['json'],
    })
    const [verb, name, ...extra] = effective.positionals
    const isProcess = (word: string | undefined): word is ProcessName =>
      PROCESSES.some((known) => known === word)
    if (verb !== 'show' || extra.length > 0 || (name !== undefined && !isProcess(name))) {
      throw new CliError({ code: 'CLI_USAGE', verb: 'config' }, command.usage)
    }
    const rows = showConfig(effective, isProcess(name) ? name : undefined)
    io.out(json ? JSON.stringify(rows, null, 2) : formatConfig(rows))
    return 0
  },
}
