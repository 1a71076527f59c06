import type { Hotkey, Uid } from '../protocol/units.js'

/** What the axon knows of a caller that the chain has registered. */
export interface Peer {
  readonly hotkey: Hotkey
  readonly uid: Uid
  /** Total stake weight in TAO. */
  readonly stake: number
  readonly validatorPermit: boolean
}

/** The axon's whole view of the network: the chain's metagraph implements it, tests use a Map. */
export interface Peers {
  lookup(hotkey: string): Peer | undefined
}
