import type { Clock } from '../../lib/clock.js'
import type { Rng } from '../../lib/rng.js'
import { type Duty, type DutyResult, skipped } from '../duty.js'
import type { Network } from '../network.js'
import { roundBlock } from '../plan.js'
import type { RoundBlock } from '../round-life.js'

export interface RoundDutyOptions {
  readonly everyMs: number
  /** Rounds that take longer are void. */
  readonly deadlineMs: number
  /** A round opens at every block that is a multiple of this. */
  readonly everyBlocks: number
  /** Longest time between that block and the round. */
  readonly delayMs: number
}

export interface RoundDutyModules {
  readonly network: Network
  readonly clock: Pick<Clock, 'monotonic'>
  /** Not seeded by the chain: nobody else may know it. */
  readonly rng: Pick<Rng, 'float'>
}

/**
 * Opens a round for each boundary block, once. What is asked follows from that block; when it is asked is
 * this validator's secret, so that miners cannot tell rounds from users by the time. A validator that was
 * away joins at the current boundary; one that restarts within a round finds it played or void.
 */
export abstract class RoundDuty implements Duty {
  abstract readonly name: string
  readonly everyMs: number
  readonly deadlineMs: number
  readonly #options: RoundDutyOptions
  readonly #modules: RoundDutyModules
  #lastBoundary = -1
  #due = { block: -1, atMs: 0 }

  constructor(options: RoundDutyOptions, modules: RoundDutyModules) {
    this.everyMs = options.everyMs
    this.deadlineMs = options.deadlineMs
    this.#options = options
    this.#modules = modules
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { head, chain } = this.#modules.network
    if (head === undefined) return skipped('the chain has not been read yet')
    const block = roundBlock(head.number, this.#options.everyBlocks)
    if (block <= this.#lastBoundary) return skipped('the round of this boundary was played')
    if (!this.#isDue(block, head.number)) return skipped('the round begins at a time of its own')
    const blockHash = await chain.blockHash(block as typeof head.number, { signal })
    if (blockHash === undefined) return skipped('the boundary block is not known')
    const result = await this.play({ block, blockHash }, signal)
    this.#lastBoundary = block
    return result
  }

  /** Whether its time has come, or half of its blocks are over: a fast chain must not outrun the delay. */
  #isDue(block: number, head: number): boolean {
    const { clock, rng } = this.#modules
    const { delayMs, everyBlocks } = this.#options
    if (block > this.#due.block)
      this.#due = { block, atMs: clock.monotonic() + rng.float() * delayMs }
    return clock.monotonic() >= this.#due.atMs || 2 * (head - block) >= everyBlocks - 1
  }

  /** Plays what this boundary opens. When it throws, it is called again: what was played stays played. */
  protected abstract play(at: RoundBlock, signal: AbortSignal): Promise<DutyResult>
}
