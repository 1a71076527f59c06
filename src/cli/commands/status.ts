import { loadConfig } from '../../config/index.js'
import { must } from '../../lib/errors.js'
import { statusReport } from '../../validator/report.js'
import { openState, stateLocation } from '../../validator/state/open.js'
import type { Command } from '../command.js'

export const command: Command = {
  summary: 'how the validator stands: rounds, miners, weights',
  usage: `usage: subreel status --netuid N [--json] [settings]

Reads the validator's database; the validator may be running or not.`,

  async run(argv, io) {
    const words = argv.filter((word) => word !== '--json')
    const { config } = loadConfig({ argv: words, env: io.env, process: 'validator' })
    const db = await openState(stateLocation(config))
    try {
      const report = await statusReport(db, must(config.netuid, 'netuid'))
      if (argv.includes('--json')) {
        io.out(JSON.stringify(report, null, 2))
        return 0
      }
      const counts = (of: Readonly<Record<string, number>>) =>
        Object.entries(of)
          .map(([status, n]) => `${n} ${status}`)
          .join(', ') || 'none'
      io.out(`rounds: ${counts(report.rounds)}`)
      io.out(`organic tasks: ${counts(report.tasks)}`)
      const { lastRound, lastWeights } = report
      io.out(
        `last round: ${lastRound === undefined ? 'none' : `${lastRound.id}, ${new Date(lastRound.endedAt).toISOString()}`}`,
      )
      io.out(
        `last weights: ${lastWeights === undefined ? 'none' : `block ${lastWeights.block}, epoch ${lastWeights.epoch}, ${lastWeights.state}`}`,
      )
      io.out('')
      io.out(' uid  kind          running  average  tasks  success')
      for (const miner of report.miners) {
        const share = `${(100 * miner.successRatio).toFixed(0)} %`
        io.out(
          `${String(miner.uid).padStart(4)}  ${miner.kind.padEnd(12)} ${miner.running.toFixed(4).padStart(8)} ${miner.averageScore.toFixed(4).padStart(8)} ${String(miner.tasks).padStart(6)} ${share.padStart(8)}`,
        )
      }
      return 0
    } finally {
      await db.destroy()
    }
  },
}
