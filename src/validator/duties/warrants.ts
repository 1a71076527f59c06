import { mapLimit } from '../../lib/loop.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { ValidatorMetrics } from '../metrics.js'
import type { Network } from '../network.js'
import type { MinerClient } from '../ports.js'
import type { MinerStore } from '../state/miners.js'

const CONCURRENCY = 64

/**
 * Asks every serving miner which work it does. A silent miner keeps
 * what it said last: one lost packet must not cost it a round.
 */
export class WarrantDuty implements Duty {
  readonly name = 'warrants'
  readonly everyMs: number
  readonly deadlineMs = 300_000
  readonly #timeoutMs: number
  readonly #network: Network
  readonly #miners: MinerStore
  readonly #client: MinerClient
  readonly #metrics: ValidatorMetrics

  constructor(
    options: { everyMs: number; timeoutMs: number },
    modules: {
      network: Network
      miners: MinerStore
      client: MinerClient
      metrics: ValidatorMetrics
    },
  ) {
    this.everyMs = options.everyMs
    this.#timeoutMs = options.timeoutMs
    this.#network = modules.network
    this.#miners = modules.miners
    this.#client = modules.client
    this.#metrics = modules.metrics
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const miners = this.#network.miners()
    if (miners.length === 0) return skipped('no miner serves an axon')
    const options = { timeoutMs: this.#timeoutMs, signal }
    await mapLimit(miners, CONCURRENCY, async (miner) => {
      const warrant = await this.#client.warrant(miner, options)
      this.#metrics.warrants.inc({ result: warrant === undefined ? 'silent' : 'answered' })
      if (warrant !== undefined) await this.#miners.warrant(miner.hotkey, warrant.kinds)
    })
    return DONE
  }
}
