import type { Clock } from '../lib/clock.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import type { ValidatorMetrics } from './metrics.js'

/** How one run of a duty ended: done, or not needed, with the reason. */
export type DutyResult = { readonly done: true } | { readonly skipped: string }

export const DONE: DutyResult = { done: true }
export const skipped = (reason: string): DutyResult => ({ skipped: reason })

/** One job of the validator: one trigger, one file. A run that throws is logged and tried again. */
export interface Duty {
  readonly name: string
  readonly everyMs: number
  run(signal: AbortSignal): Promise<DutyResult>
}

export interface DutyModules {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: ValidatorMetrics
}

/** Runs a duty until the signal aborts. */
export function runDuty(
  duty: Duty,
  { clock, log, metrics }: DutyModules,
  signal: AbortSignal,
): Promise<void> {
  let lastReason: string | undefined
  return runEvery(
    {
      clock,
      signal,
      everyMs: duty.everyMs,
      onError: (error) => {
        metrics.dutyRuns.inc({ duty: duty.name, result: 'failed' })
        log.error(
          { event: 'duty.failed', duty: duty.name, error },
          'a duty failed and runs again at its time',
        )
      },
    },
    async (running) => {
      const result = await duty.run(running)
      const reason = 'skipped' in result ? result.skipped : undefined
      metrics.dutyRuns.inc({ duty: duty.name, result: reason === undefined ? 'done' : 'skipped' })
      // A duty that keeps waiting for one thing says so once.
      if (reason !== undefined && reason !== lastReason) {
        log.info({ event: 'duty.skipped', duty: duty.name, reason }, 'a duty had nothing to do')
      }
      lastReason = reason
    },
  )
}
