/** BullMQ's largest priority value; smaller numbers start first. */
export const PRIORITY_LIMIT = 2 ** 21 - 1

/** One step of priority, in milliseconds of waiting. 2^21 steps last six days of a lane never empty. */
export const TICK_MS = 250

/** Share of the head start that `stake` (TAO) buys: 0 for none, 1 from ten million on, logarithmic between. */
export function stakeShare(stake: number): number {
  if (!(stake > 0)) return 0
  return Math.min(1, Math.log10(1 + stake) / 7)
}

/**
 * Place of a job in its lane: the moment it arrived plus a handicap of at most `maxWaitMs` that stake
 * reduces. Later arrivals can overtake only within the handicap, so a job without stake is passed by
 * nobody who came `maxWaitMs` after it: ageing without ever touching a queued job again.
 *
 * `laneStartMs` is when the lane was last empty. Beyond the range of BullMQ's numbers the order
 * degrades to first come, first served.
 */
export function lanePriority(input: {
  readonly nowMs: number
  readonly laneStartMs: number
  readonly stake: number
  readonly maxWaitMs: number
}): number {
  const handicapMs = input.maxWaitMs * (1 - stakeShare(input.stake))
  const sinceStartMs = Math.max(0, input.nowMs - input.laneStartMs)
  return Math.min(PRIORITY_LIMIT, 1 + Math.floor((sinceStartMs + handicapMs) / TICK_MS))
}
