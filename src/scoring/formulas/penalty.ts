/** Neza's penalty of a miner that fails tasks: a state machine over its outcomes. */
export interface PenaltyState {
  readonly taskFailures: number
  readonly failures: number
  readonly penaltyCount: number
  /** Seconds on the caller's clock; no task before this. */
  readonly penaltyUntil: number
}

export const NO_PENALTY: PenaltyState = {
  taskFailures: 0,
  failures: 0,
  penaltyCount: 0,
  penaltyUntil: 0,
}

export const PENALTY = {
  taskFailuresPerFailure: 2,
  failuresPerPenalty: 2,
  baseSeconds: 300,
  multiplier: 2,
  maxSeconds: 1800,
} as const

/** Two failed tasks are a failure; two failures are a ban of 300 s · 2^(n−1), at most 1800 s. */
export function afterFailure(state: PenaltyState, nowSeconds: number): PenaltyState {
  if (state.taskFailures + 1 < PENALTY.taskFailuresPerFailure) {
    return { ...state, taskFailures: state.taskFailures + 1 }
  }
  if (state.failures + 1 < PENALTY.failuresPerPenalty) {
    return { ...state, taskFailures: 0, failures: state.failures + 1 }
  }
  const penaltyCount = state.penaltyCount + 1
  const seconds = PENALTY.baseSeconds * PENALTY.multiplier ** (penaltyCount - 1)
  return {
    taskFailures: 0,
    failures: 0,
    penaltyCount,
    penaltyUntil: nowSeconds + Math.min(seconds, PENALTY.maxSeconds),
  }
}

/** A success clears failed tasks and takes one failure back. */
export function afterSuccess(state: PenaltyState): PenaltyState {
  return { ...state, taskFailures: 0, failures: Math.max(0, state.failures - 1) }
}
