import { must } from '../../lib/errors.js'
import { type AnyEntry, type KeyPart, type StorageEntry, storageKey } from '../runtime/storage.js'
import { decode, encode } from '../scale/codec.js'
import type { Changes, RawState } from './store.js'

/** Bytes a hasher puts before the key itself. */
const HASH_BYTES = { Identity: 0, Twox64Concat: 8, Blake2_128Concat: 16 } as const

/** Typed access to storage with changes kept aside until they are taken or dropped. */
export class View implements RawState {
  readonly #base: RawState
  readonly #changes = new Map<string, Uint8Array | undefined>()

  constructor(base: RawState) {
    this.#base = base
  }

  get changes(): Changes {
    return this.#changes
  }

  // --- raw ---------------------------------------------------------------------------------

  get(key: string): Uint8Array | undefined {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#base.get(key)
  }

  keys(prefix: string): string[] {
    const found = new Set(this.#base.keys(prefix))
    for (const [key, value] of this.#changes) {
      if (!key.startsWith(prefix)) continue
      if (value === undefined) found.delete(key)
      else found.add(key)
    }
    return [...found].sort()
  }

  setRaw(key: string, value: Uint8Array | undefined): void {
    this.#changes.set(key, value)
  }

  // --- typed -------------------------------------------------------------------------------

  /** The stored value, else the item's default. For items that have one. */
  read<K extends readonly unknown[], V>(entry: StorageEntry<K, V>, ...args: K): V {
    return must(this.find(entry, ...args) ?? entry.fallback, `a default of ${entry.name}`)
  }

  /** The stored value, or `undefined` where none was written. */
  find<K extends readonly unknown[], V>(entry: StorageEntry<K, V>, ...args: K): V | undefined {
    const raw = this.get(storageKey(entry, args))
    return raw === undefined ? undefined : decode(entry.value, raw)
  }

  has<K extends readonly unknown[]>(entry: StorageEntry<K, unknown>, ...args: K): boolean {
    return this.get(storageKey(entry, args)) !== undefined
  }

  write<K extends readonly unknown[], V>(entry: StorageEntry<K, V>, args: K, value: V): void {
    this.setRaw(storageKey(entry, args), encode(entry.value, value))
  }

  remove<K extends readonly unknown[]>(entry: StorageEntry<K, unknown>, ...args: K): void {
    this.setRaw(storageKey(entry, args), undefined)
  }

  /** The last key of every entry below the given ones. */
  lastKeys(entry: AnyEntry, ...args: readonly unknown[]): unknown[] {
    const prefix = storageKey(entry, args)
    const part = must(entry.keys[args.length] as KeyPart<unknown> | undefined, 'a key part')
    const skip = prefix.length + HASH_BYTES[part.hasher] * 2
    return this.keys(prefix).map((key) => decode(part.codec, Buffer.from(key.slice(skip), 'hex')))
  }

  // --- nesting -----------------------------------------------------------------------------

  /** Runs `act` on an overlay and keeps its changes only when it returns. */
  transaction<T>(act: (inner: View) => T): T {
    const inner = new View(this)
    const result = act(inner)
    for (const [key, value] of inner.#changes) this.#changes.set(key, value)
    return result
  }
}
