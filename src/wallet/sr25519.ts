import { LruMap } from '../lib/lru.js'
import { Sr25519Module } from './sr25519-module.js'

/** A table costs what five checks with one save, so a key gets one only after having signed. */
const SIGNATURES_FIRST = 2
const KNOWN_SIGNERS = 4096

const idOf = (publicKey: Uint8Array): string =>
  Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString('latin1')

/**
 * Verifies, and decides whose tables are kept. Only signatures that hold count: forgeries under
 * others' names change nothing here. Each try for a slot looks at one: it is free when its key has
 * not signed since the last look, so that more keys than slots, all busy, do not drive each
 * other out.
 */
export class Sr25519Verifier {
  readonly #module = new Sr25519Module()
  readonly #slotOf = new Map<string, number>()
  readonly #owners = new Array<string | undefined>(this.#module.slots)
  readonly #used = new Uint8Array(this.#module.slots)
  readonly #signed = new LruMap<string, number>(KNOWN_SIGNERS)
  #next = 0

  /** How many keys have a table now. */
  get tables(): number {
    return this.#slotOf.size
  }

  has(publicKey: Uint8Array): boolean {
    return this.#slotOf.has(idOf(publicKey))
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const key = idOf(publicKey)
    const slot = this.#slotOf.get(key)
    const valid = this.#module.verify(publicKey, message, signature, slot)
    if (valid && slot !== undefined) this.#used[slot] = 1
    if (valid && slot === undefined) this.#count(key, publicKey)
    return valid
  }

  #count(key: string, publicKey: Uint8Array): void {
    const times = (this.#signed.get(key) ?? 0) + 1
    if (times < SIGNATURES_FIRST) {
      this.#signed.set(key, times)
      return
    }
    this.#signed.delete(key)
    const slot = this.#next
    this.#next = (slot + 1) % this.#module.slots
    const busy = this.#used[slot] === 1
    this.#used[slot] = 0
    if (busy || !this.#module.learn(publicKey, slot)) return
    const before = this.#owners[slot]
    if (before !== undefined) this.#slotOf.delete(before)
    this.#owners[slot] = key
    this.#slotOf.set(key, slot)
    this.#used[slot] = 1
  }
}

let verifier: Sr25519Verifier | undefined

/** True when `signature` (64 bytes) is over `message` by `publicKey` (32 bytes), context `substrate`. */
export function verifySr25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  verifier ??= new Sr25519Verifier()
  try {
    return verifier.verify(publicKey, message, signature)
  } catch {
    verifier = undefined // no stack or no memory left in the middle of a check: its state is anything
    return false
  }
}
