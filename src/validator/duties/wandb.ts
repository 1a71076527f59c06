import { DONE, type Duty, type DutyResult, skipped } from '../duty.js'
import type { RoundStore } from '../state/rounds.js'
import type { Values } from '../wandb/records.js'

const BATCH = 64

/** Charts of committed rounds for Weights & Biases: one point for each round. */
export class WandbDuty implements Duty {
  readonly name = 'wandb'
  readonly everyMs = 15_000
  readonly deadlineMs = 60_000
  readonly #rounds: Pick<RoundStore, 'committedAfter'>
  readonly #run: { log(values: Values): Promise<void> }
  readonly #netuid: number
  #last: { readonly endedAt: number; readonly roundId: string }

  constructor(
    rounds: Pick<RoundStore, 'committedAfter'>,
    run: { log(values: Values): Promise<void> },
    options: { readonly netuid: number; readonly fromMs: number },
  ) {
    this.#rounds = rounds
    this.#run = run
    this.#netuid = options.netuid
    this.#last = { endedAt: options.fromMs, roundId: '' }
  }

  async run(): Promise<DutyResult> {
    const ended = await this.#rounds.committedAfter(this.#netuid, this.#last, BATCH)
    if (ended.length === 0) return skipped('no round was committed')
    for (const { roundId, kind, block, startedAt, endedAt, scores } of ended) {
      const values = scores.map(({ score }) => score)
      const scored = scores.filter(({ outcome }) => outcome === 'scored').length
      await this.#run.log({
        ...{ block, [`${kind}/miners`]: scores.length, [`${kind}/scored`]: scored },
        [`${kind}/seconds`]: (endedAt - startedAt) / 1000,
        [`${kind}/mean`]:
          values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length),
        [`${kind}/best`]: Math.max(0, ...values),
        ...Object.fromEntries(scores.map(({ uid, score }) => [`${kind}/uid_${uid}`, score])),
      })
      this.#last = { endedAt, roundId }
    }
    return DONE
  }
}
