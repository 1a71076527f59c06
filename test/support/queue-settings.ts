/** Locks so short that a test sees a dead worker's job come back within two seconds. */
export const QUICK_LOCKS = {
  lockMs: 1_000,
  stalledEveryMs: 500,
  backoffMs: 50,
} as const
