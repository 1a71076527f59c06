import { blake2b } from '@noble/hashes/blake2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Hotkey, Netuid } from '../protocol/units.js'
import { concatBytes, vecU16 } from './scale.js'
import type { WeightsMethod } from './types.js'

/**
 * What became of a vector:
 * - `pending`: written before it is sent; after a crash it may or may not be on chain
 * - `included`: the extrinsic succeeded
 * - `verified`: read back from the chain
 * - `revealed`: a salted commit whose reveal succeeded
 * - `refused`: the chain did not take it, `error` says why
 * - `expired`: a salted commit that can no longer be revealed
 */
export type WeightState = 'pending' | 'included' | 'verified' | 'revealed' | 'refused' | 'expired'

/** One vector sent, or tried. */
export interface WeightEntry {
  /** Unique: `hotkey/netuid/mechanism/block`. */
  readonly id: string
  readonly hotkey: Hotkey
  readonly netuid: Netuid
  readonly mechanism: number
  readonly epoch: number
  readonly method: WeightsMethod
  /** Head when it was made. */
  readonly block: number
  readonly uids: readonly number[]
  /** u16 values. */
  readonly values: readonly number[]
  readonly versionKey: string
  /** blake2b-256 of the vector, hex. */
  readonly vectorHash: string
  readonly state: WeightState
  /** u16 values; the salt of a salted commit, kept until it is revealed. */
  readonly salt?: readonly number[]
  /** Hash on chain of a salted or timelocked commit, 0x hex. */
  readonly commitHash?: string
  /** drand round of a timelocked commit. */
  readonly revealRound?: number
  readonly extrinsicHash?: string
  readonly includedAt?: number
  readonly error?: string
}

/** Which vectors are asked for. */
export interface LedgerQuery {
  readonly hotkey: Hotkey
  readonly netuid: Netuid
  readonly mechanism: number
}

/**
 * The durable record of weights. It keeps salts until their reveal, tells a restarted process what it
 * had sent, and holds the last good vector.
 */
export interface WeightLedger {
  /** Adds the entry, or replaces the one with its id. Durable when it resolves. */
  put(entry: WeightEntry): Promise<void>
  /** Newest first, at most `limit`. */
  list(query: LedgerQuery, limit: number): Promise<readonly WeightEntry[]>
  close(): Promise<void>
}

/** A vector's identity: the hash of its uids and values. */
export function hashVector(uids: readonly number[], values: readonly number[]): string {
  return bytesToHex(blake2b(concatBytes(vecU16(uids), vecU16(values)), { dkLen: 32 }))
}

/** A ledger that ends with the process: for tools that send one vector, and tests. */
export class MemoryWeightLedger implements WeightLedger {
  readonly #entries = new Map<string, WeightEntry>()

  async put(entry: WeightEntry): Promise<void> {
    this.#entries.delete(entry.id)
    this.#entries.set(entry.id, entry)
  }

  async list(query: LedgerQuery, limit: number): Promise<readonly WeightEntry[]> {
    return selectEntries([...this.#entries.values()], query, limit)
  }

  async close(): Promise<void> {}
}

/** Entries that match, newest first. */
export function selectEntries(
  entries: readonly WeightEntry[],
  query: LedgerQuery,
  limit: number,
): WeightEntry[] {
  return entries
    .filter(
      (entry) =>
        entry.hotkey === query.hotkey &&
        entry.netuid === query.netuid &&
        entry.mechanism === query.mechanism,
    )
    .sort((a, b) => b.block - a.block)
    .slice(0, limit)
}
