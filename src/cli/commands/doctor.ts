import { parseWords, usage } from '../chain-command.js'
import type { Command } from '../command.js'
import { CHECKS, runChecks } from '../doctor/index.js'

const VERB = 'doctor'
const MARK = { ok: ' ok ', warn: 'warn', fail: 'FAIL' } as const

export const command: Command = {
  summary:
    'check this machine: tools, Redis, store, database, GPU, clock, disk, ports, wallet, chain',
  usage: `usage: subreel doctor [--json] [--gpu] [settings]

Each line is ok, warn or FAIL and says what to do. Exit code 1 when anything fails.
--gpu also compares scores of a built-in clip on CPU and GPU.`,

  async run(argv, io) {
    const { config, positionals, switches } = parseWords(VERB, argv, io, { switches: ['--gpu'] })
    if (positionals.length > 0) throw usage(VERB, command.usage)
    const results = await runChecks(CHECKS, {
      config,
      env: io.env,
      signal: io.signal,
      gpu: switches.has('--gpu'),
    })
    if (switches.has('--json')) io.out(JSON.stringify(results, null, 2))
    else {
      for (const { check, status, message, fix } of results) {
        io.out(
          `[${MARK[status]}] ${check.padEnd(8)} ${message}${fix === undefined ? '' : ` -> ${fix}`}`,
        )
      }
    }
    return results.some(({ status }) => status === 'fail') ? 1 : 0
  },
}
