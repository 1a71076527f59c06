import { type AxonRoute, serve } from '../../axon/index.js'
import { LengthCheck, TaskWarrant, WARRANT } from '../../protocol/index.js'
import type { Offer } from '../offer.js'

/** Says what this miner does. Old validators know one kind of two: they get the first of those. */
export function warrantRoute(offer: Offer): AxonRoute {
  const old = offer.warrants.find(
    (task) => task === WARRANT.compression || task === WARRANT.upscaling,
  )
  return serve({
    definition: TaskWarrant,
    handler: () => ({
      warrant_tasks: [...offer.warrants],
      ...(old === 1 || old === 2 ? { warrant_task: old } : {}),
    }),
  })
}

/** Says the longest clip this miner takes. */
export function lengthRoute(maxSeconds: 5 | 10 | 20): AxonRoute {
  return serve({
    definition: LengthCheck,
    handler: () => ({ max_content_length: maxSeconds }),
  })
}
