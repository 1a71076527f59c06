import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LogOptions {
  readonly level?: LogLevel
  /** Where lines go; standard output unless given. */
  readonly destination?: DestinationStream
}

/**
 * The process log: JSON lines. The first argument of every call is data with a stable `event`
 * (`noun.verb-past`, listed in docs/operations/events.md), the second a plain sentence. Its children,
 * of which each component has one for as long as the process lives, follow its level.
 */
export function createLog(name: string, options: LogOptions = {}): Logger {
  const children: Logger[] = []
  const settings = {
    name,
    onChild: (child: Logger) => void children.push(child),
    level: options.level ?? 'info',
    base: { name, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause },
  }
  const log =
    options.destination === undefined ? pino(settings) : pino(settings, options.destination)
  log.on('level-change', (level, _value, _before, _beforeValue, changed) => {
    if (changed === log) for (const child of children) child.level = level
  })
  return log
}

/** A log that writes nothing, the default of libraries. */
export function silentLog(): Logger {
  return pino({ level: 'silent' })
}
