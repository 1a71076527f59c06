import { loadConfig } from '../../config/index.js'
import { must } from '../../lib/errors.js'
import { reasonsOf } from '../../validator/report.js'
import { openState, stateLocation } from '../../validator/state/open.js'
import type { Command } from '../command.js'
import { CliError } from '../errors.js'

const LIMIT = 20

export const command: Command = {
  summary: 'why a miner has the scores it has',
  usage: `usage: subreel why UID --netuid N [--json] [settings]

The last ${LIMIT} answers of a miner, newest first, each with its score and reason.
Exit code 1 when the validator has never asked that miner.`,

  async run(argv, io) {
    const words = argv.filter((word) => word !== '--json')
    const { config, positionals } = loadConfig({ argv: words, env: io.env, process: 'validator' })
    const [uid, ...extra] = positionals
    if (uid === undefined || !/^\d{1,5}$/.test(uid) || extra.length > 0) {
      throw new CliError({ code: 'CLI_USAGE', verb: 'why' }, command.usage)
    }
    const db = await openState(stateLocation(config))
    try {
      const reasons = await reasonsOf(db, must(config.netuid, 'netuid'), Number(uid), LIMIT)
      if (argv.includes('--json')) io.out(JSON.stringify(reasons, null, 2))
      else if (reasons.length === 0) io.out(`uid ${uid} has no answer in this database`)
      for (const { at, kind, score, outcome, reason } of argv.includes('--json') ? [] : reasons) {
        io.out(
          `${new Date(at).toISOString()}  ${kind.padEnd(12)} ${score.toFixed(4)}  ${outcome}: ${reason}`,
        )
      }
      return reasons.length === 0 ? 1 : 0
    } finally {
      await db.destroy()
    }
  },
}
