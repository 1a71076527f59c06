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
}

/**
 * Opens rounds at their boundary blocks, each of which is played once. A validator that was away joins
 * at the current boundary; one that restarts within a round finds it played or void and waits for the next.
 */
export abstract class RoundDuty implements Duty {
  abstract readonly name: string
  readonly everyMs: number
  readonly deadlineMs: number
  readonly #network: Network
  readonly #everyBlocks: number
  #lastBoundary = -1

  constructor(options: RoundDutyOptions, network: Network) {
    this.everyMs = options.everyMs
    this.deadlineMs = options.deadlineMs
    this.#everyBlocks = options.everyBlocks
    this.#network = network
  }

  async run(signal: AbortSignal): Promise<DutyResult> {
    const { head, chain } = this.#network
    if (head === undefined) return skipped('the chain has not been read yet')
    const block = roundBlock(head.number, this.#everyBlocks)
    if (block <= this.#lastBoundary) return skipped('the round of this boundary was played')
    const blockHash = await chain.blockHash(block as typeof head.number, { signal })
    if (blockHash === undefined) return skipped('the boundary block is not known')
    const result = await this.play({ block, blockHash }, signal)
    this.#lastBoundary = block
    return result
  }

  /** Plays what this boundary opens. When it throws, it is called again: what was played stays played. */
  protected abstract play(at: RoundBlock, signal: AbortSignal): Promise<DutyResult>
}
