import { blake2b } from '@noble/hashes/blake2.js'
import { xxhashAsU8a } from '@polkadot/util-crypto'
import { type AnyCodec, type Codec, encode } from '../scale/codec.js'

/** Spec versions an item exists in: from `since` (included) to `until` (excluded). */
export interface Range {
  readonly since?: number
  readonly until?: number
}

export const inRange = (range: Range, spec: number): boolean =>
  spec >= (range.since ?? 0) && spec < (range.until ?? Number.POSITIVE_INFINITY)

/** Hashers by the name and number that metadata gives them. */
export const HASHERS = {
  Blake2_128Concat: 2,
  Twox64Concat: 5,
  Identity: 6,
} as const
export type Hasher = keyof typeof HASHERS

const twox = (data: Uint8Array | string, bits: 64 | 128): Uint8Array =>
  xxhashAsU8a(data, bits, true)

function hash(hasher: Hasher, data: Uint8Array): Uint8Array {
  switch (hasher) {
    case 'Identity':
      return data
    case 'Twox64Concat':
      return Buffer.concat([twox(data, 64), data])
    case 'Blake2_128Concat':
      return Buffer.concat([blake2b(data, { dkLen: 16 }), data])
  }
}

export interface KeyPart<T> {
  readonly hasher: Hasher
  readonly codec: Codec<T>
}

/** One storage item: where it lives, how it is written, and what an absent value reads as. */
export interface StorageEntry<K extends readonly unknown[], V> extends Range {
  readonly name: string
  readonly keys: { readonly [I in keyof K]: KeyPart<K[I]> }
  readonly value: Codec<V>
  /** `undefined` for an `Option`: absent is `None`. */
  readonly fallback: V | undefined
  /** Hex without 0x: twox128 of pallet and item. Set when the entry joins its pallet. */
  prefix: string
}

export type AnyEntry = StorageEntry<readonly unknown[], unknown>

export const identity = <T>(codec: Codec<T>): KeyPart<T> => ({ hasher: 'Identity', codec })
export const twox64 = <T>(codec: Codec<T>): KeyPart<T> => ({ hasher: 'Twox64Concat', codec })
export const blake2 = <T>(codec: Codec<T>): KeyPart<T> => ({ hasher: 'Blake2_128Concat', codec })

/** An item that reads as `fallback` while it was never written. */
export function item<K extends readonly unknown[], V>(
  keys: { readonly [I in keyof K]: KeyPart<K[I]> },
  value: Codec<V>,
  fallback: V,
  range: Range = {},
): StorageEntry<K, V> {
  return { name: '', prefix: '', keys, value, fallback, ...range }
}

/** An item that may be absent. */
export function optional<K extends readonly unknown[], V>(
  keys: { readonly [I in keyof K]: KeyPart<K[I]> },
  value: Codec<V>,
  range: Range = {},
): StorageEntry<K, V> {
  return { name: '', prefix: '', keys, value, fallback: undefined, ...range }
}

/** An item whose name on chain is not its key in our tables, as when two runtimes differ in its keys. */
export const renamed = <T extends object>(name: string, entry: T): T =>
  Object.assign(entry, { name })

const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex')

/** Names the items of a pallet and gives them their prefixes. */
export function palletStorage<T extends Record<string, { name: string }>>(
  pallet: string,
  items: T,
): T {
  const palletPrefix = hex(twox(pallet, 128))
  for (const [key, entry] of Object.entries(items)) {
    const name = entry.name || key
    Object.assign(entry, { name, prefix: palletPrefix + hex(twox(name, 128)) })
  }
  return items
}

/** The raw storage key, hex without 0x. With fewer arguments than keys: the prefix of those entries. */
export function storageKey<K extends readonly unknown[]>(
  entry: StorageEntry<K, unknown>,
  args: readonly unknown[],
): string {
  const parts = entry.keys as readonly KeyPart<unknown>[]
  let key = entry.prefix
  args.forEach((arg, i) => {
    const part = parts[i]
    if (part !== undefined) key += hex(hash(part.hasher, encode(part.codec as AnyCodec, arg)))
  })
  return key
}
