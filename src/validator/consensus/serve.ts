import { type Axon, createAxon, type Peers, serve } from '../../axon/index.js'
import type { Dendrite } from '../../dendrite/index.js'
import type { Clock } from '../../lib/clock.js'
import type { Logger } from '../../lib/log.js'
import type { Registry } from '../../lib/metrics.js'
import { TaskWarrant } from '../../protocol/index.js'
import type { Signer } from '../../wallet/index.js'
import type { Network } from '../network.js'
import type { MinerTarget } from '../ports.js'
import { type SignedReport, ValidatorReport } from './document.js'

/**
 * The validator's own axon: it gives its newest report to neurons with a validator permit, and
 * tells who asks that it does no work.
 */
export function createReportAxon(
  network: Network,
  latest: () => SignedReport,
  modules: {
    readonly signer: Signer
    readonly clock: Clock
    readonly log: Logger
    readonly registry?: Registry
  },
): Axon {
  const { signer, ...rest } = modules
  const peers: Peers = {
    lookup: (hotkey) => network.neuron(hotkey),
  }
  return createAxon({
    wallet: signer,
    peers,
    synapses: [
      serve({ definition: ValidatorReport, handler: latest }),
      serve({ definition: TaskWarrant, handler: () => ({ warrant_tasks: [] }) }),
    ],
    access: { requireValidatorPermit: true },
    ...rest,
  })
}

const ASK_MS = 10_000
const MAX_REPLY_BYTES = 2 * 1024 * 1024

/** Asks through the dendrite. A validator that does not answer has no report. */
export const askReport =
  (dendrite: Dendrite) =>
  async (target: MinerTarget, signal: AbortSignal): Promise<SignedReport | undefined> => {
    const outcome = await dendrite.call(
      target,
      ValidatorReport,
      {},
      { timeoutMs: ASK_MS, maxReplyBytes: MAX_REPLY_BYTES, signal },
    )
    return outcome.ok ? outcome.response : undefined
  }
