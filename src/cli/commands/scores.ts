import { SystemClock } from '../../lib/clock.js'
import { RoundStore } from '../../validator/state/rounds.js'
import { parseSubnetWords, usage } from '../chain-command.js'
import type { Command } from '../command.js'
import { withState } from '../state-command.js'

const VERB = 'scores'
const HOUR_MS = 3_600_000
const PAGE = 16

export const command: Command = {
  summary: 'every committed score as JSON lines, for tools of your own',
  usage: `usage: subreel scores --netuid N [--hours H] [--records] [settings]

One line for each answer, oldest first: round, kind, block, uid, hotkey, outcome, score and reason; with
--records also the whole record of each score, which subreel verify checks. --hours limits how far back.`,

  async run(argv, io) {
    const { config, netuid, switches, values } = parseSubnetWords(VERB, argv, io, command.usage, {
      switches: ['--records'],
      values: ['--hours'],
    })
    const hours = Number(values.get('--hours') ?? Number.POSITIVE_INFINITY)
    if (!(hours > 0)) throw usage(VERB, '--hours takes a number above 0')
    const clock = new SystemClock()
    return withState(config, async (db) => {
      const rounds = new RoundStore(db, clock)
      let last = { endedAt: Math.max(0, clock.now() - hours * HOUR_MS), roundId: '' }
      for (;;) {
        const page = await rounds.committedAfter(netuid, last, PAGE)
        for (const { scores, ...round } of page) {
          for (const { record, ...score } of scores) {
            const whole =
              switches.has('--records') && record !== null ? JSON.parse(record) : undefined
            io.out(JSON.stringify({ ...round, ...score, record: whole }))
          }
          last = { endedAt: round.endedAt, roundId: round.roundId }
        }
        if (page.length < PAGE) return 0
      }
    })
  },
}
