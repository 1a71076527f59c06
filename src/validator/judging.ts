import type { ScoreRecord } from '../scoring/types.js'
import type { Submitted } from './ports.js'

type JudgeBatch = (batch: readonly Submitted[]) => Promise<ReadonlyMap<string, ScoreRecord>>

/**
 * Judges results as they arrive. While one batch is with the judge, later arrivals gather into the
 * next: a slow miner delays nobody, and results that come together share one decode of the reference.
 */
export class ArrivalJudge {
  readonly #judge: JudgeBatch
  readonly #maxBatch: number
  #waiting: {
    submitted: Submitted
    resolve: (record: ScoreRecord) => void
    reject: (error: unknown) => void
  }[] = []
  #running = false

  constructor(judge: JudgeBatch, maxBatch = 8) {
    this.#judge = judge
    this.#maxBatch = maxBatch
  }

  /** Resolves with the record of this result; rejects when the judge itself failed. */
  add(submitted: Submitted): Promise<ScoreRecord> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ submitted, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#maxBatch)
      try {
        const records = await this.#judge(batch.map(({ submitted }) => submitted))
        for (const { submitted, resolve, reject } of batch) {
          const record = records.get(submitted.id)
          if (record === undefined)
            reject(new Error(`the judge gave no record for ${submitted.id}`))
          else resolve(record)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#running = false
  }
}
