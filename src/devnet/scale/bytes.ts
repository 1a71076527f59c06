import { DevnetError } from '../errors.js'

const INITIAL_CAPACITY = 64

/** A byte buffer that grows; integers go in little-endian, as SCALE has them. */
export class Writer {
  #buffer = new Uint8Array(INITIAL_CAPACITY)
  #length = 0

  #reserve(count: number): number {
    const at = this.#length
    const needed = at + count
    if (needed > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2))
      grown.set(this.#buffer.subarray(0, at))
      this.#buffer = grown
    }
    this.#length = needed
    return at
  }

  byte(value: number): void {
    const at = this.#reserve(1)
    this.#buffer[at] = value
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
  }

  /** `count` little-endian bytes of a two's complement integer. */
  int(value: bigint, count: number): void {
    const at = this.#reserve(count)
    let rest = value
    for (let i = 0; i < count; i += 1) {
      this.#buffer[at + i] = Number(rest & 0xffn)
      rest >>= 8n
    }
  }

  /** SCALE compact form of a non-negative integer below 2^536. */
  compact(value: bigint): void {
    if (value < 1n << 6n) {
      this.byte(Number(value) << 2)
    } else if (value < 1n << 14n) {
      this.int((value << 2n) | 1n, 2)
    } else if (value < 1n << 30n) {
      this.int((value << 2n) | 2n, 4)
    } else {
      let count = 4
      while (value >> BigInt(count * 8) > 0n) count += 1
      this.byte(((count - 4) << 2) | 3)
      this.int(value, count)
    }
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.#buffer.slice(0, this.#length)
  }
}

/** Reads what a peer sent: never past the end, and a length is checked before anything is allocated. */
export class Reader {
  readonly #data: Uint8Array
  #at = 0

  constructor(data: Uint8Array) {
    this.#data = data
  }

  get remaining(): number {
    return this.#data.length - this.#at
  }

  /** @throws DevnetError DEVNET_SCALE_INVALID at the end of the data */
  bytes(count: number): Uint8Array {
    if (count > this.remaining) {
      throw new DevnetError(
        { code: 'DEVNET_SCALE_INVALID', at: this.#at },
        `SCALE data ends early: ${count} bytes wanted, ${this.remaining} left`,
      )
    }
    const out = this.#data.subarray(this.#at, this.#at + count)
    this.#at += count
    return out
  }

  byte(): number {
    return this.bytes(1)[0] ?? 0
  }

  int(count: number, signed = false): bigint {
    const data = this.bytes(count)
    let value = 0n
    for (let i = count - 1; i >= 0; i -= 1) value = (value << 8n) | BigInt(data[i] ?? 0)
    return signed ? BigInt.asIntN(count * 8, value) : value
  }

  compact(): bigint {
    const first = this.byte()
    const mode = first & 3
    if (mode === 0) return BigInt(first >> 2)
    if (mode === 3) return this.int((first >> 2) + 4)
    const rest = this.int(mode === 1 ? 1 : 3)
    return (rest << 6n) | BigInt(first >> 2)
  }

  /** A compact length of items of at least `itemBytes` each, refused when the data cannot hold them. */
  length(itemBytes: number): number {
    const count = this.compact()
    if (count * BigInt(itemBytes) > BigInt(this.remaining)) {
      throw new DevnetError(
        { code: 'DEVNET_SCALE_INVALID', at: this.#at },
        `SCALE length ${count} is more than the data holds`,
      )
    }
    return Number(count)
  }
}

const HEX = /^0x([0-9a-fA-F]{2})*$/

export const toHex = (data: Uint8Array): string =>
  `0x${Buffer.from(data.buffer, data.byteOffset, data.length).toString('hex')}`

/** @throws DevnetError DEVNET_SCALE_INVALID unless `0x` and whole bytes */
export function fromHex(text: string): Uint8Array {
  if (!HEX.test(text)) {
    throw new DevnetError({ code: 'DEVNET_SCALE_INVALID', at: 0 }, 'expected 0x-prefixed hex bytes')
  }
  return Buffer.from(text.slice(2), 'hex')
}
