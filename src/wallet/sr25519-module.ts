import { readFileSync } from 'node:fs'

/** Any slot number that the module has not; stands for "without a table". */
export const NO_SLOT = 0xffff_ffff

const SIGNATURE_AT = 32

/** The part of the global that is used here: the types of Node have none of it, those of browsers would add much. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object) => { readonly exports: unknown }
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  slots(): number
  input(): number
  message(length: number): number
  verify(slot: number): number
  learn(slot: number): number
}

let compiled: object | undefined

/**
 * native/sr25519 of this package, an instance of its own. It checks all it is given (mark,
 * scalar, points), so any bytes of the right lengths may come here. docs/adr/0077 has the choice.
 */
export class Sr25519Module {
  readonly #exports: Exports
  readonly #input: number
  /** How many slots for tables there are: 0 to `slots - 1`. */
  readonly slots: number
  #bytes: Uint8Array

  constructor() {
    const file = new URL('../../native/sr25519/sr25519.wasm', import.meta.url)
    compiled ??= new WebAssembly.Module(readFileSync(file))
    this.#exports = new WebAssembly.Instance(compiled).exports as Exports
    this.slots = this.#exports.slots()
    this.#input = this.#exports.input()
    this.#bytes = new Uint8Array(this.#exports.memory.buffer)
  }

  /**
   * True when `signature` (64 bytes) is over `message` by `publicKey` (32 bytes), context
   * `substrate`. Whatever `slot` holds, the answer is the same; the key's table makes it faster.
   */
  verify(
    publicKey: Uint8Array,
    message: Uint8Array,
    signature: Uint8Array,
    slot = NO_SLOT,
  ): boolean {
    const at = this.#exports.message(message.length)
    if (at === 0) return false
    const bytes = this.#view()
    bytes.set(message, at >>> 0)
    bytes.set(publicKey, this.#input)
    bytes.set(signature, this.#input + SIGNATURE_AT)
    return this.#exports.verify(slot) === 1
  }

  /** Makes the table of `publicKey` (32 bytes) in `slot`, over what was there. False: no such point or slot. */
  learn(publicKey: Uint8Array, slot: number): boolean {
    this.#view().set(publicKey, this.#input)
    return this.#exports.learn(slot) === 1
  }

  /** The memory, which is another buffer after it has grown. */
  #view(): Uint8Array {
    const { buffer } = this.#exports.memory
    if (this.#bytes.buffer !== buffer) this.#bytes = new Uint8Array(buffer)
    return this.#bytes
  }
}
