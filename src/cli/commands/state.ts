import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { loadConfig } from '../../config/index.js'
import type { StateDatabase } from '../../validator/state/open.js'
import { exportState, importState } from '../../validator/state/transfer.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'
import { withState } from '../state-command.js'

export const command: Command = {
  summary: "export or import the validator's database as JSON lines",
  usage: `usage: subreel state export [settings] > FILE
       subreel state import FILE [settings]

Moves the state between the embedded database and PostgreSQL (DATABASE_URL), or keeps a backup.
Import needs an empty database and takes all rows or none. Stop the validator first.`,

  async run(argv, io) {
    const { config, positionals } = loadConfig({ argv, env: io.env })
    const [verb, file, ...extra] = positionals
    const wellFormed =
      (verb === 'export' && file === undefined) || (verb === 'import' && file !== undefined)
    if (!wellFormed || extra.length > 0)
      throw new CliError({ code: 'CLI_USAGE', verb: 'state' }, command.usage)
    const transfer = async (db: StateDatabase) => {
      if (file === undefined) for await (const line of exportState(db)) io.out(line)
      else {
        const lines = createInterface({ input: createReadStream(file) })
        io.out(`imported ${await importState(db, lines)} rows`)
      }
      return 0
    }
    return withState(config, transfer, { create: file !== undefined })
  },
}
