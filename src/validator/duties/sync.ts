import { diffMetagraphs } from '../../chain/index.js'
import type { Logger } from '../../lib/log.js'
import { DONE, type Duty, type DutyResult } from '../duty.js'
import type { Network } from '../network.js'
import type { MinerStore } from '../state/miners.js'

/** Reads the subnet at the head and brings the miners' table in line with it. */
export class SyncDuty implements Duty {
  readonly name = 'sync'
  readonly everyMs: number
  readonly deadlineMs = 60_000
  readonly #network: Network
  readonly #miners: MinerStore
  readonly #log: Logger
  #shared: ReadonlySet<number> = new Set()

  constructor(
    options: { everyMs: number },
    modules: { network: Network; miners: MinerStore; log: Logger },
  ) {
    this.everyMs = options.everyMs
    this.#network = modules.network
    this.#miners = modules.miners
    this.#log = modules.log
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { chain, netuid } = this.#network
    const before = this.#network.metagraph
    const head = await chain.head({ signal })
    const metagraph = await chain.metagraph(netuid, { signal })
    this.#network.update(head, metagraph)
    const changes = before === undefined ? [] : diffMetagraphs(before, metagraph)
    for (const { uid, kind } of changes) {
      if (kind !== 'replaced') continue
      this.#log.info({ event: 'uid.reassigned', uid }, 'a uid has a new hotkey, which starts fresh')
    }
    this.#tellShared()
    await this.#miners.sync(
      metagraph.neurons.map(({ hotkey, uid, coldkey, registeredAt }) => ({
        hotkey,
        uid,
        coldkey,
        registeredAt,
      })),
    )
    return DONE
  }

  /** Each miner that is left out, once, with the reason. */
  #tellShared(): void {
    const shared = this.#network.shared()
    for (const { uid, with: other } of shared) {
      if (!this.#shared.has(uid))
        this.#log.info(
          { event: 'miner.shared', uid, with: other },
          'a miner shares what one miner may have, and is asked nothing',
        )
    }
    this.#shared = new Set(shared.map(({ uid }) => uid))
  }
}
