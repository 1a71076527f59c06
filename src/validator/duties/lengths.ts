import { mapLimit } from '../../lib/loop.js'
import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { Network } from '../network.js'
import type { MinerClient } from '../ports.js'
import type { MinerStore } from '../state/miners.js'

const CONCURRENCY = 64

/** Asks every serving miner how long a clip it takes. A silent one keeps what it said last. */
export class LengthDuty implements Duty {
  readonly name = 'lengths'
  readonly everyMs: number
  readonly deadlineMs = 300_000
  readonly #timeoutMs: number
  readonly #modules: {
    readonly network: Network
    readonly miners: MinerStore
    readonly client: MinerClient
  }

  constructor(
    options: { readonly everyMs: number; readonly timeoutMs: number },
    modules: {
      readonly network: Network
      readonly miners: MinerStore
      readonly client: MinerClient
    },
  ) {
    this.everyMs = options.everyMs
    this.#timeoutMs = options.timeoutMs
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { network, miners, client } = this.#modules
    const serving = network.miners()
    if (serving.length === 0) return skipped('no miner serves an axon')
    await mapLimit(serving, CONCURRENCY, async (miner) => {
      const seconds = await client.maxLengthSeconds(miner, { timeoutMs: this.#timeoutMs, signal })
      if (seconds !== undefined) await miners.takesLength(miner.hotkey, seconds)
    })
    return DONE
  }
}
