/** What is known of the deaths of a job's workers while they ran it, and of all others in its lane. */
export interface Deaths {
  /** Workers that died while they ran this job and nothing else. */
  readonly alone: number
  /** Milliseconds that the longest of those runs lived. */
  readonly longestMs: number
  /** Deaths in runs of the lane's other jobs. */
  readonly others: number
  /** Milliseconds that the lane's other jobs have run. */
  readonly othersRanMs: number
}

/** A job that took its worker down this often runs alone, so that no other is blamed for it. */
export const ALONE_AFTER = 2
/** A life is known this exactly: how often a run alone says that it lives, in milliseconds. */
export const SEEN_EVERY_MS = 500
/** What is assumed before anything was seen: one death from outside in so many milliseconds. */
const PRIOR_MS = 20_000
const BELIEVABLE = 1e-4

/**
 * Chance, 0–1, that `alone` runs in a row all end within `longestMs` when workers die of causes that
 * have nothing to do with the job, at the rate at which they die under the lane's other jobs.
 */
export function chanceOfInnocence({ alone, longestMs, others, othersRanMs }: Deaths): number {
  const perMs = (others + 1) / (othersRanMs + PRIOR_MS)
  return (1 - Math.exp(-perMs * (longestMs + SEEN_EVERY_MS))) ** alone
}

/** Whether the job itself must be what kills its workers. */
export const isPoison = (deaths: Deaths): boolean => chanceOfInnocence(deaths) < BELIEVABLE
