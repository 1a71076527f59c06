import type { Signer } from 'subreel/wallet'
import type { Chain } from '#src/chain/index.js'
import { silentLog } from '#src/lib/log.js'
import { createRegistry } from '#src/lib/metrics.js'
import type { Netuid } from '#src/protocol/units.js'
import { LEDGER_RULES } from '#src/scoring/ledger.js'
import { WEIGHTS } from '#src/scoring/weights.js'
import { SyncDuty } from '#src/validator/duties/sync.js'
import { WeightDuty, type WeightOptions } from '#src/validator/duties/weights.js'
import { LedgerState } from '#src/validator/ledger-state.js'
import { createMetrics } from '#src/validator/metrics.js'
import { Network } from '#src/validator/network.js'
import { EmissionStore } from '#src/validator/state/emissions.js'
import { MinerStore } from '#src/validator/state/miners.js'
import type { StateDatabase } from '#src/validator/state/open.js'
import { DatabaseWeightLedger } from '#src/validator/state/weights.js'
import { FakeClock } from './fake-clock.js'

/** The weight duty and the sync it leans on, over a given chain and database. */
export function weightRig(
  db: StateDatabase,
  chain: Chain,
  netuid: Netuid,
  signer: Signer,
  options: Partial<WeightOptions> = {},
) {
  const network = new Network(chain, netuid, signer.address)
  const ledger = new LedgerState(LEDGER_RULES)
  const weightLedger = new DatabaseWeightLedger(db)
  const log = silentLog()
  const clock = new FakeClock()
  const sync = new SyncDuty(
    { everyMs: 1_000 },
    { network, miners: new MinerStore(db, clock, netuid), log },
  )
  const duty = new WeightDuty(
    { everyMs: 1_000, epochLength: undefined, config: WEIGHTS, rules: LEDGER_RULES, ...options },
    {
      ...{ network, signer, ledger, weightLedger, log },
      emissions: new EmissionStore(db, clock, netuid),
      lease: { take: async () => {} },
      metrics: createMetrics(createRegistry()),
    },
  )
  /** One committed answer. */
  const score = (hotkey: string, uid: number, block: number, value: number) =>
    ledger.add(`${hotkey}-${block}`, block, [
      { hotkey, uid, kind: 'compression', outcome: 'scored', score: value, reason: '' },
    ])
  return { network, ledger, weightLedger, sync, duty, score }
}
