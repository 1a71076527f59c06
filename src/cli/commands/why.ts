import { reasonsOf } from '../../validator/report.js'
import { parseWords, requireNetuid, toJson, usage } from '../chain-command.js'
import type { Command } from '../command.js'
import { withState } from '../state-command.js'

const VERB = 'why'
const LIMIT = 20

export const command: Command = {
  summary: 'why a miner has the scores it has',
  usage: `usage: subreel why UID --netuid N [--json] [settings]

The last ${LIMIT} answers of a miner, newest first, each with its score and reason.
Exit code 1 when the validator has never asked that miner.`,

  async run(argv, io) {
    const { config, positionals, switches } = parseWords(VERB, argv, io)
    const [uid = '', ...extra] = positionals
    if (!/^\d{1,5}$/.test(uid) || extra.length > 0) throw usage(VERB, command.usage)
    const netuid = requireNetuid(VERB, config)
    const reasons = await withState(config, (db) => reasonsOf(db, netuid, Number(uid), LIMIT))
    if (switches.has('--json')) io.out(toJson(reasons))
    else if (reasons.length === 0) io.out(`uid ${uid} has no answer in this database`)
    else {
      for (const { at, kind, score, outcome, reason } of reasons) {
        io.out(
          `${new Date(at).toISOString()}  ${kind.padEnd(12)} ${score.toFixed(4)}  ${outcome}: ${reason}`,
        )
      }
    }
    return reasons.length === 0 ? 1 : 0
  },
}
