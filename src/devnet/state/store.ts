/** Hex characters of a pallet's and an item's hash. */
const ITEM_CHARS = 64

interface Version {
  readonly height: number
  /** `undefined`: deleted at this height. */
  readonly value: Uint8Array | undefined
}

/** What one block changed: raw key (hex without 0x) to value, `undefined` for deleted. */
export type Changes = ReadonlyMap<string, Uint8Array | undefined>

/** Reads raw keys at one place: a block of the store or an overlay over it. */
export interface RawState {
  get(key: string): Uint8Array | undefined
  /** Keys with the prefix, sorted. */
  keys(prefix: string): string[]
}

/**
 * Every value a key ever had, by height: any kept block can be read without keeping a copy of the
 * state for it, and going back is dropping the newest versions.
 */
export class StateStore {
  readonly #versions = new Map<string, Version[]>()
  /** Keys by their first 32 bytes, pallet and item: listing one item need not look at the others. */
  readonly #items = new Map<string, Set<string>>()

  get(key: string, height: number): Uint8Array | undefined {
    const versions = this.#versions.get(key)
    if (versions === undefined) return undefined
    let low = 0
    let high = versions.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((versions[middle]?.height ?? 0) <= height) low = middle + 1
      else high = middle
    }
    return versions[low - 1]?.value
  }

  keys(prefix: string, height: number): string[] {
    const item = prefix.slice(0, ITEM_CHARS)
    const candidates =
      item.length === ITEM_CHARS ? (this.#items.get(item) ?? []) : this.#versions.keys()
    const found: string[] = []
    for (const key of candidates) {
      if (key.startsWith(prefix) && this.get(key, height) !== undefined) found.push(key)
    }
    return found.sort()
  }

  at(height: number): RawState {
    return {
      get: (key) => this.get(key, height),
      keys: (prefix) => this.keys(prefix, height),
    }
  }

  /** Adds a block's changes. Heights only rise; the same height again overwrites. */
  commit(height: number, changes: Changes): void {
    for (const [key, value] of changes) {
      const versions = this.#versions.get(key) ?? this.#add(key)
      if (versions.at(-1)?.height === height) versions.pop()
      versions.push({ height, value })
    }
  }

  #add(key: string): Version[] {
    const versions: Version[] = []
    this.#versions.set(key, versions)
    const item = key.slice(0, ITEM_CHARS)
    const keys = this.#items.get(item) ?? new Set()
    this.#items.set(item, keys.add(key))
    return versions
  }

  #drop(key: string): void {
    this.#versions.delete(key)
    this.#items.get(key.slice(0, ITEM_CHARS))?.delete(key)
  }

  /** Forgets everything above `height`. */
  truncate(height: number): void {
    for (const [key, versions] of this.#versions) {
      while ((versions.at(-1)?.height ?? -1) > height) versions.pop()
      if (versions.length === 0) this.#drop(key)
    }
  }

  /** Forgets what only heights below `height` could read. */
  prune(height: number): void {
    for (const [key, versions] of this.#versions) {
      let stale = 0
      while ((versions[stale + 1]?.height ?? Number.POSITIVE_INFINITY) <= height) stale += 1
      versions.splice(0, stale)
      const [only] = versions
      if (versions.length === 1 && only?.value === undefined) this.#drop(key)
    }
  }
}
