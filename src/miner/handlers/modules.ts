import type { Clock } from '../../lib/clock.js'
import type { Logger } from '../../lib/log.js'
import type { JobQueue } from '../../queue/types.js'
import type { MinerMetrics } from '../metrics.js'
import type { Offer } from '../offer.js'

/** What handlers share. */
export interface HandlerModules {
  readonly queue: JobQueue
  readonly offer: Offer
  readonly clock: Clock
  readonly log: Logger
  readonly metrics?: MinerMetrics
}
