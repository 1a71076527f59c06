import { AdminServer } from './admin.js'
import { aborted, type Clock, deadline, SystemClock } from './clock.js'
import { isAbort, SubnetError } from './errors.js'
import type { Logger } from './log.js'
import { createRegistry, type Registry } from './metrics.js'
import { Resources } from './resources.js'
import { type Rng, SystemRng } from './rng.js'
import { packageVersion } from './version.js'

/** What is aborted has this long to let go of its files and sockets. */
const ABORT_MS = 5_000

/** What a daemon's composition gets: its surroundings, opened and closed by `runDaemon`. */
export interface DaemonContext {
  readonly log: Logger
  readonly clock: Clock
  readonly rng: Rng
  readonly registry: Registry
  readonly admin: AdminServer
  /** What is pushed here is released in reverse order after the drain. */
  readonly resources: Resources
  /** Aborts when the process must stop taking work (first SIGTERM or SIGINT). */
  readonly stopping: AbortSignal
  /** Aborts when running work must stop too: the grace period is over. */
  readonly aborting: AbortSignal
}

/** A started daemon: how it ends. */
export interface Daemon {
  /** Resolves when running work has finished after `stopping`. The grace period bounds the wait. */
  drained(): Promise<void>
  /** Rejects when the process must not go on: it ends at once, without the grace period. */
  readonly failed?: Promise<never>
}

export interface DaemonOptions {
  readonly name: string
  readonly log: Logger
  readonly graceMs: number
  readonly admin: { readonly host: string; readonly port: number }
}

/**
 * Runs a daemon until SIGTERM or SIGINT, in the one stop order of all processes: stop taking work,
 * let running work finish within the grace period, abort the rest, close what was opened in reverse,
 * flush the log. A second signal exits at once. Returns the exit code.
 */
export async function runDaemon(
  options: DaemonOptions,
  start: (context: DaemonContext) => Promise<Daemon>,
): Promise<number> {
  const { log, name } = options
  const stop = new AbortController()
  const abort = new AbortController()
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(130)
    log.info({ event: 'process.stop-requested', signal }, 'stopping: no new work is taken')
    stop.abort()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  const resources = new Resources()
  try {
    const registry = createRegistry()
    const admin = resources.use('admin server', new AdminServer({ name, log, registry }))
    const adminPort = await admin.listen(options.admin.host, options.admin.port)
    const daemon = await start({
      log,
      clock: new SystemClock(),
      rng: new SystemRng(),
      registry,
      admin,
      resources,
      stopping: stop.signal,
      aborting: abort.signal,
    })
    const versions = { version: packageVersion(), node: process.version }
    log.info({ event: 'process.started', adminPort, ...versions }, `${name} is running`)
    // The parent of a forked process (a test, pm2 with wait_ready) learns that it is up.
    process.send?.('ready')
    await Promise.race([
      aborted(stop.signal),
      ...(daemon.failed === undefined ? [] : [daemon.failed]),
    ])
    admin.startDraining()
    await drain(daemon, options.graceMs, abort, log)
    return 0
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return 0
    const data = error instanceof SubnetError ? error.data : undefined
    log.fatal({ event: 'process.failed', error, data }, 'the process cannot go on')
    return 1
  } finally {
    stop.abort()
    abort.abort()
    await resources.close().catch((error: unknown) => {
      log.error({ event: 'process.close-failed', error }, 'something did not close cleanly')
    })
    log.info({ event: 'process.stopped' }, `${name} has stopped`)
    // Work that heeded nothing may hold a socket or a timer: it must not keep the process either.
    void aborted(deadline(ABORT_MS)).then(() => process.exit())
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
}

async function drain(
  daemon: Daemon,
  graceMs: number,
  abort: AbortController,
  log: Logger,
): Promise<void> {
  const grace = deadline(graceMs)
  const finished = daemon.drained()
  const outcome = await Promise.race([
    finished.then(() => 'drained'),
    aborted(grace).then(() => 'grace over'),
  ])
  if (outcome !== 'drained') {
    log.warn(
      { event: 'process.grace-ended', graceMs },
      'running work did not finish in time and is aborted',
    )
    abort.abort()
    // Bounded too: what waits for a server that is away may never hear of it.
    await Promise.race([finished.catch(() => {}), aborted(deadline(ABORT_MS))])
  }
}
