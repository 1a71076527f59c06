/** How one request to one miner ended. Each is a row with a reason, never an exception. */
export const OUTCOMES = [
  'scored',
  'no_answer',
  'refused',
  'empty_url',
  'download_failed',
  'bad_media',
  'copied',
  'infrastructure',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** An infrastructure fault is ours: it never lowers a miner. */
export const countsForMiner = (outcome: Outcome): boolean => outcome !== 'infrastructure'
