/**
 * A map that holds at most `capacity` entries and forgets those not used for long. The last
 * `capacity / 2` used are always there.
 *
 * Two generations, not a list: when the young one is full, it becomes the old one, and the old one is
 * dropped whole. Deleting the first key of a Map over and over, the usual trick, makes V8 walk over all
 * that was deleted before.
 */
export class LruMap<K, V> {
  #young = new Map<K, V>()
  #old = new Map<K, V>()
  readonly #half: number

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw new RangeError(`capacity must be a positive integer, got ${capacity}`)
    }
    this.#half = Math.max(1, capacity >> 1)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  /** The value, which counts as used. */
  get(key: K): V | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    this.#old.delete(key)
    this.#young.set(key, value)
    if (this.#young.size <= this.#half) return
    this.#young.delete(key)
    this.#old = this.#young
    this.#young = new Map([[key, value]])
  }

  /** All entries, in no order that counts. */
  *entries(): IterableIterator<[K, V]> {
    yield* this.#young
    yield* this.#old
  }

  delete(key: K): boolean {
    const young = this.#young.delete(key)
    return this.#old.delete(key) || young
  }
}
