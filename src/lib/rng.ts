import { createHash, randomBytes } from 'node:crypto'
import { must } from './errors.js'

/** Randomness as a parameter. */
export interface Rng {
  bytes(length: number): Uint8Array
  /** A float in [0, 1) with 53 random bits. */
  float(): number
  /** An integer in [0, bound), without modulo bias. `bound` is at most 2^48. */
  int(bound: number): number
}

abstract class ByteRng implements Rng {
  abstract bytes(length: number): Uint8Array

  float(): number {
    return Number(this.#uint64() >> 11n) / 2 ** 53
  }

  int(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 48) {
      throw new RangeError(`bound must be an integer in 1..2^48, got ${bound}`)
    }
    const limit = 2n ** 64n - (2n ** 64n % BigInt(bound))
    for (;;) {
      const value = this.#uint64()
      if (value < limit) return Number(value % BigInt(bound))
    }
  }

  #uint64(): bigint {
    const b = this.bytes(8)
    return new DataView(b.buffer, b.byteOffset, 8).getBigUint64(0, true)
  }
}

/** The operating system's generator: keys, nonces, ids. */
export class SystemRng extends ByteRng {
  bytes(length: number): Uint8Array {
    return randomBytes(length)
  }
}

/**
 * A stream that depends on nothing but its seed: sha256(seed ‖ counter) blocks. Two validators that
 * seed it with one block hash draw the same round. Not for secrets.
 */
export class SeededRng extends ByteRng {
  readonly #seed: Uint8Array
  #counter = 0n
  #pool = Buffer.alloc(0)

  constructor(seed: string | Uint8Array) {
    super()
    this.#seed = typeof seed === 'string' ? Buffer.from(seed, 'utf8') : seed
  }

  bytes(length: number): Uint8Array {
    // All blocks are joined once: joining one by one costs the square of the length.
    const blocks = [this.#pool]
    for (let have = this.#pool.length; have < length; have += 32) blocks.push(this.#block())
    this.#pool = Buffer.concat(blocks)
    const out = this.#pool.subarray(0, length)
    this.#pool = this.#pool.subarray(length)
    return out
  }

  #block() {
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64LE(this.#counter)
    this.#counter += 1n
    return createHash('sha256').update(this.#seed).update(counter).digest()
  }
}

/** A shuffled copy (Fisher–Yates). */
export function shuffle<T>(rng: Rng, items: readonly T[]): T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = rng.int(i + 1)
    const a = must(out[i], 'shuffle item')
    out[i] = must(out[j], 'shuffle item')
    out[j] = a
  }
  return out
}

/** One item of a non-empty list. */
export function pick<T>(rng: Rng, items: readonly T[]): T {
  return must(items[rng.int(items.length)], 'an item to pick from')
}
