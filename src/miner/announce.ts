import type { Chain, ServeRequest } from '../chain/types.js'
import type { Clock } from '../lib/clock.js'
import { describeError } from '../lib/errors.js'
import type { Logger } from '../lib/log.js'
import { runEvery } from '../lib/loop.js'
import { withResolvers } from '../lib/resources.js'
import type { Signer } from '../wallet/index.js'

/** Between two looks at whether the chain still knows where the axon is. */
export const ANNOUNCE_MS = 300_000

const LEVELS = { included: 'info', unchanged: 'debug', refused: 'warn' } as const

export interface AnnounceModules {
  readonly chain: Pick<Chain, 'serveAxon'>
  readonly signer: Signer
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * Keeps it true on the chain where this axon is: the chain may refuse for a while, an endpoint may be
 * lost, or the hotkey be registered anew, which clears its axon. Costs nothing while it is true.
 */
export function keepAnnounced(
  request: ServeRequest,
  modules: AnnounceModules,
): {
  /** After the first attempt, whatever came of it. */
  readonly tried: Promise<void>
  /** After the signal aborted. */
  readonly ended: Promise<void>
} {
  const { chain, signer, clock, log, signal } = modules
  const { ip, port } = request
  const tried = withResolvers<void>()
  const onError = (error: unknown) =>
    log.error(
      { event: 'axon.announce-failed', reason: describeError(error) },
      'the chain could not be told where the axon is',
    )
  const ended = runEvery({ clock, signal, everyMs: ANNOUNCE_MS, onError }, async () => {
    try {
      const served = await chain.serveAxon(signer, request, { signal })
      const level = LEVELS[served.outcome]
      log[level](
        { event: 'axon.announced', ip, port, ...served },
        'told the chain where the axon is',
      )
    } finally {
      tried.resolve()
    }
  })
  return { tried: tried.promise, ended }
}
