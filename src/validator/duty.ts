import { type Clock, Deadline } from '../lib/clock.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import { ValidatorError } from './errors.js'
import type { ValidatorMetrics } from './metrics.js'

/** How one run of a duty ended: done, or not needed, with the reason. */
export type DutyResult = { readonly done: true } | { readonly skipped: string }

export const DONE: DutyResult = { done: true }
export const skipped = (reason: string): DutyResult => ({ skipped: reason })

/** One job of the validator: one trigger, one file. A run that throws is logged and tried again. */
export interface Duty {
  readonly name: string
  readonly everyMs: number
  /** A run that takes longer is aborted, and tried again at its time. */
  readonly deadlineMs: number
  /**
   * `signal` aborts with the deadline or when the validator stops; `stopping` with the latter alone,
   * for work that outlives the run that began it.
   */
  run(signal: AbortSignal, stopping: AbortSignal): Promise<DutyResult>
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
  const { name, everyMs, deadlineMs } = duty
  return runEvery(
    {
      clock,
      signal,
      everyMs,
      onError: (error) => {
        metrics.dutyRuns.inc({ duty: name, result: 'failed' })
        log.error(
          { event: 'duty.failed', duty: name, error },
          'a duty failed and runs again at its time',
        )
      },
      onSkip: (missed) => metrics.dutyRuns.inc({ duty: name, result: 'missed' }, missed),
    },
    async (stopping) => {
      const started = clock.monotonic()
      const result = await runInTime(duty, stopping)
      const reason = 'skipped' in result ? result.skipped : undefined
      metrics.dutyRuns.inc({ duty: name, result: reason === undefined ? 'done' : 'skipped' })
      metrics.dutyAt.set({ duty: name }, clock.now() / 1000)
      if (reason === undefined)
        metrics.dutySeconds.observe({ duty: name }, (clock.monotonic() - started) / 1000)
      // A duty that keeps waiting for one thing says so once.
      if (reason !== undefined && reason !== lastReason) {
        log.info({ event: 'duty.skipped', duty: name, reason }, 'a duty had nothing to do')
      }
      lastReason = reason
    },
  )

  async function runInTime(of: Duty, stopping: AbortSignal): Promise<DutyResult> {
    using deadline = new Deadline(deadlineMs, stopping)
    try {
      return await of.run(deadline.signal, stopping)
    } catch (cause) {
      if (!deadline.expired) throw cause
      throw new ValidatorError(
        { code: 'VALIDATOR_DUTY_LATE', duty: name, deadlineMs },
        `${name} was not done within ${deadlineMs} ms`,
        { cause },
      )
    }
  }
}
