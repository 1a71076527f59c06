import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { destination, multistream } from 'pino'
import { type Daemon, type DaemonContext, runDaemon } from '../lib/daemon.js'
import { describeError } from '../lib/errors.js'
import { createLog, type Logger, type LogLevel } from '../lib/log.js'
import { loadConfig, SHOW } from './load.js'
import type { Config, ProcessName } from './settings.js'
import { formatConfig, formatHelp, showConfig } from './show.js'

export interface StartOptions {
  readonly process: ProcessName
  /** First line of --help. */
  readonly usage: string
  readonly start: (
    config: Config,
    context: DaemonContext,
    env: Readonly<Record<string, string | undefined>>,
  ) => Promise<Daemon>
}

/** The log level that the three bittensor switches ask for. */
export function logLevel(config: Config): LogLevel {
  return config['logging.trace'] ? 'trace' : config['logging.debug'] ? 'debug' : 'info'
}

/** Standard output, and the file when a folder is set; SIGHUP opens the file again, as logrotate wants. */
export function configuredLog(name: string, config: Config): Logger {
  const folder = config['logging.logging_dir']
  if (folder === undefined) return createLog(name, { level: logLevel(config) })
  mkdirSync(folder, { recursive: true })
  const file = destination({ dest: join(folder, `${name}.log`), sync: true })
  process.on('SIGHUP', () => file.reopen())
  // Each stream has a level of its own: they take all, so that the log's own level can change later.
  const streams = [process.stdout, file].map((stream) => ({ level: 'trace', stream }) as const)
  return createLog(name, { level: logLevel(config), destination: multistream(streams) })
}

/**
 * The main of every process: settings → log → daemon → exit code. `--help` prints the settings,
 * `config show` the effective ones; a bad configuration lists every problem and exits 2.
 */
export async function startProcess(options: StartOptions): Promise<number> {
  const print = (line: string) => process.stdout.write(`${line}\n`)
  try {
    const effective = loadConfig({
      argv: process.argv.slice(2),
      env: process.env,
      process: options.process,
    })
    if (effective.help) {
      print(formatHelp(options.usage, options.process))
      return 0
    }
    if (effective.positionals.join(' ') === SHOW) {
      print(formatConfig(showConfig(effective, options.process)))
      return 0
    }
    const { config } = effective
    return await runDaemon(
      {
        name: options.process,
        log: configuredLog(options.process, config),
        graceMs: config['shutdown.grace_seconds'] * 1000,
        admin: { host: config['admin.host'], port: config['admin.port'] },
      },
      (context) => options.start(config, context, process.env),
    )
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`)
    return 2
  }
}
