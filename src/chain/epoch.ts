/** Epoch arithmetic, pure. Blocks and epochs are plain numbers here; times are unix seconds. */

/** drand quicknet: round r is published at `genesis + (r - 1) * period`, in unix seconds. */
const QUICKNET_GENESIS = 1_692_803_367
export const QUICKNET_PERIOD_SECONDS = 3

/** Blocks after the reveal block at which the round falls, so that it is published when needed. */
const SECURITY_BLOCKS = 3
/** The runtime starts an epoch this long after the last step whatever the schedule says. */
const MAX_BLOCKS_SINCE_STEP = 50_400

/** The modulo model of runtimes without `SubnetEpochIndex` (393 and before). */
export interface ModuloSchedule {
  readonly kind: 'modulo'
  readonly netuid: number
  readonly tempo: number
}

/** The schedule that newer runtimes keep in storage; all values read at one block. */
export interface StatefulSchedule {
  readonly kind: 'stateful'
  readonly tempo: number
  readonly lastEpochBlock: number
  /** Block of an epoch asked for by the owner; 0 for none. */
  readonly pendingEpochAt: number
  readonly epochIndex: number
  readonly blocksSinceLastStep: number
}

export type EpochSchedule = ModuloSchedule | StatefulSchedule

/** The epoch that `block` belongs to. For a stateful schedule `block` is the one it was read at. */
export function epochIndex(schedule: EpochSchedule, block: number): number {
  if (schedule.kind === 'stateful') return schedule.epochIndex
  return Math.floor((block + schedule.netuid + 1) / (schedule.tempo + 1))
}

/** Blocks from `block` to the next epoch's first step; `Infinity` when the subnet has no tempo. */
export function blocksUntilNextEpoch(schedule: EpochSchedule, block: number): number {
  if (schedule.tempo === 0) return Number.POSITIVE_INFINITY
  if (schedule.kind === 'modulo') {
    return schedule.tempo - ((block + schedule.netuid + 1) % (schedule.tempo + 1))
  }
  const regular = Math.max(0, schedule.lastEpochBlock + schedule.tempo - block)
  if (schedule.pendingEpochAt === 0) return regular
  return Math.min(regular, Math.max(0, schedule.pendingEpochAt - block))
}

/**
 * Blocks without weights after which a validator counts as inactive, on runtimes that state them in
 * thousandths of a tempo.
 *
 * @example activityCutoff(13_889, 360) // 5000
 */
export const activityCutoff = (factorMilli: number, tempo: number): number =>
  Math.max(1, Math.floor((factorMilli * tempo) / 1000))

/** The block at which a commit made now, at `block`, is revealed by the chain. */
export function revealBlock(schedule: EpochSchedule, block: number, revealPeriod: number): number {
  if (schedule.kind === 'modulo') {
    const target = epochIndex(schedule, block) + revealPeriod
    return target * (schedule.tempo + 1) - (schedule.netuid + 1)
  }
  if (schedule.tempo === 0) return block + 1
  let { lastEpochBlock: last, pendingEpochAt: pending, epochIndex: index } = schedule
  let since = schedule.blocksSinceLastStep
  const fires = (b: number) =>
    (pending > 0 && b >= pending) || since > MAX_BLOCKS_SINCE_STEP || b - last >= schedule.tempo
  let target = 0
  for (let b = block + 1; ; b += 1) {
    const fired = fires(b)
    const seen = index + (fired ? 1 : 0)
    // The commit lands in the next block, so its epoch is the one in force after that block's firing.
    if (b === block + 1) target = seen + revealPeriod
    else if (seen >= target) return b
    if (fired) {
      last = b
      pending = 0
      index += 1
      since = 0
    } else {
      since += 1
    }
  }
}

/**
 * The drand round to seal a timelocked commit to: published just after the block that reveals it.
 *
 * @param nowSeconds unix time, whole seconds
 * @example revealRound({ kind: 'modulo', netuid: 1, tempo: 360 }, 1000, 1, 12, 1_795_248_001)
 */
export function revealRound(
  schedule: EpochSchedule,
  block: number,
  revealPeriod: number,
  blockSeconds: number,
  nowSeconds: number,
): number {
  const blocks = revealBlock(schedule, block, revealPeriod) + SECURITY_BLOCKS - block
  return Math.floor(
    (nowSeconds + blocks * blockSeconds - QUICKNET_GENESIS) / QUICKNET_PERIOD_SECONDS,
  )
}

/** Index under which a mechanism's weights are stored; mechanism 0 is the subnet itself. */
export const mechanismIndex = (netuid: number, mechanism: number): number =>
  mechanism * 4096 + netuid
