import { ledgerRules } from '../../validator/policy.js'
import { type StatusReport, statusReport } from '../../validator/report.js'
import { formatTable, parseSubnetWords, toJson } from '../chain-command.js'
import type { Command } from '../command.js'
import { withState } from '../state-command.js'

export const command: Command = {
  summary: 'how the validator stands: rounds, miners, weights',
  usage: `usage: subreel status --netuid N [--json] [settings]

Reads the validator's database; the validator may be running or not.`,

  async run(argv, io) {
    const { config, netuid, switches } = parseSubnetWords('status', argv, io, command.usage)
    const report = await withState(config, (db) => statusReport(db, netuid, ledgerRules(config)))
    if (switches.has('--json')) io.out(toJson(report))
    else for (const line of lines(report)) io.out(line)
    return 0
  },
}

function lines({ rounds, tasks, lastRound, lastWeights, miners }: StatusReport): string[] {
  const heading = ['uid', 'kind', 'running', 'average', 'tasks', 'success']
  const rows = miners.map((miner) => [
    String(miner.uid),
    miner.kind,
    miner.running.toFixed(4),
    miner.averageScore.toFixed(4),
    String(miner.tasks),
    `${(100 * miner.successRatio).toFixed(0)} %`,
  ])
  return [
    `rounds: ${counts(rounds)}`,
    `organic tasks: ${counts(tasks)}`,
    `last round: ${lastRound === undefined ? 'none' : `${lastRound.id}, ${new Date(lastRound.endedAt).toISOString()}`}`,
    `last weights: ${lastWeights === undefined ? 'none' : `block ${lastWeights.block}, epoch ${lastWeights.epoch}, ${lastWeights.state}`}`,
    '',
    ...formatTable([heading, ...rows]),
  ]
}

const counts = (of: Readonly<Record<string, number>>): string =>
  Object.entries(of)
    .map(([status, n]) => `${n} ${status}`)
    .join(', ') || 'none'
