import type { Peer, Peers } from 'subreel/axon'
import { toUid } from 'subreel/protocol'
import { type Signer, signerFromUri } from 'subreel/wallet'
import { SystemClock } from '#src/lib/clock.js'

/** The metagraph as a map: what the chain package offers, without a chain. */
export class PeerMap implements Peers {
  readonly #peers = new Map<string, Peer>()

  add(signer: Pick<Signer, 'address'>, of: Partial<Omit<Peer, 'hotkey' | 'uid'>> = {}): this {
    this.#peers.set(signer.address, {
      hotkey: signer.address,
      uid: toUid(this.#peers.size),
      stake: of.stake ?? 1000,
      validatorPermit: of.validatorPermit ?? true,
    })
    return this
  }

  remove(signer: Pick<Signer, 'address'>): void {
    this.#peers.delete(signer.address)
  }

  lookup(hotkey: string): Peer | undefined {
    return this.#peers.get(hotkey)
  }
}

/** The published development keys. */
export const KEYS = {
  alice: signerFromUri('//Alice'),
  bob: signerFromUri('//Bob'),
  charlie: signerFromUri('//Charlie'),
  dave: signerFromUri('//Dave'),
  eve: signerFromUri('//Eve'),
  ferdie: signerFromUri('//Ferdie'),
} as const

/** A clock that stands at one nanosecond. */
export class FixedClock extends SystemClock {
  readonly #ns: bigint

  constructor(ns: string) {
    super()
    this.#ns = BigInt(ns)
  }

  override now(): number {
    return Number(this.#ns / 1_000_000n)
  }

  override nowNs(): bigint {
    return this.#ns
  }
}
