import { createHash } from 'node:crypto'

/** What a miner sees of an id: nothing tells a round from a user's task. */
export function opaqueId(id: string): string {
  return createHash('sha256').update(`subreel task ${id}`).digest('hex').slice(0, 32)
}
