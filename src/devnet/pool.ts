import { blake2Hash } from './block.js'
import { InvalidTransaction, type SignedExtrinsic } from './extrinsic.js'

/** What a submitter is told about an extrinsic, in the shape of `author_extrinsicUpdate`. */
export type TransactionStatus =
  | 'ready'
  | 'future'
  | 'invalid'
  | 'dropped'
  | { readonly inBlock: string }
  | { readonly finalized: string }
  | { readonly retracted: string }

export type StatusListener = (status: TransactionStatus) => void

export interface Pooled {
  readonly hash: string
  /** With its length prefix. */
  readonly data: Uint8Array
  readonly extrinsic: SignedExtrinsic
  readonly listeners: Set<StatusListener>
}

const POOL_LIMIT = 8192

/** Extrinsics that wait for a block, at most one for each account and nonce. */
export class Pool {
  readonly #waiting = new Map<string, Pooled>()

  get size(): number {
    return this.#waiting.size
  }

  hashes(): string[] {
    return [...this.#waiting.keys()]
  }

  all(): Pooled[] {
    return [...this.#waiting.values()]
  }

  /** @throws InvalidTransaction 1013 for one already here, 1014 for a taken nonce, 1016 when full */
  add(data: Uint8Array, extrinsic: SignedExtrinsic, listener?: StatusListener): Pooled {
    const hash = blake2Hash(data)
    if (this.#waiting.has(hash)) {
      throw new InvalidTransaction(undefined, 1013, 'Transaction is already imported')
    }
    for (const other of this.#waiting.values()) {
      const { signer, nonce } = other.extrinsic
      if (signer === extrinsic.signer && nonce === extrinsic.nonce) {
        throw new InvalidTransaction(
          'The transaction has too low priority to replace another transaction already in the pool.',
          1014,
          'Priority is too low: (0 vs 0)',
        )
      }
    }
    if (this.#waiting.size >= POOL_LIMIT) {
      throw new InvalidTransaction(undefined, 1016, 'Immediately Dropped')
    }
    const pooled = { hash, data, extrinsic, listeners: new Set<StatusListener>() }
    if (listener !== undefined) pooled.listeners.add(listener)
    this.#waiting.set(hash, pooled)
    return pooled
  }

  /** Puts back what a dropped block held. */
  restore(pooled: Pooled): void {
    this.#waiting.set(pooled.hash, pooled)
  }

  remove(hash: string): void {
    this.#waiting.delete(hash)
  }

  /** The next nonce of an account, counting what waits here without a gap. */
  nextNonce(signer: string, onChain: number): number {
    const nonces = new Set(
      this.all()
        .filter((pooled) => pooled.extrinsic.signer === signer)
        .map((pooled) => pooled.extrinsic.nonce),
    )
    let next = onChain
    while (nonces.has(next)) next += 1
    return next
  }

  /** In the order they may be applied: arrival, but nonces of one account rising. */
  inOrder(): Pooled[] {
    const bySigner = new Map<string, Pooled[]>()
    for (const pooled of this.#waiting.values()) {
      const list = bySigner.get(pooled.extrinsic.signer) ?? []
      list.push(pooled)
      bySigner.set(pooled.extrinsic.signer, list)
    }
    return [...bySigner.values()].flatMap((list) =>
      list.sort((a, b) => a.extrinsic.nonce - b.extrinsic.nonce),
    )
  }
}
