import type { Rng } from '../lib/rng.js'

/**
 * The sender ids of one dendrite. An axon refuses a nonce that is not above the last one of its
 * (hotkey, uuid), so two requests under one uuid must not overtake each other: each call borrows an
 * id for as long as it is in flight. There are never more ids than calls at once.
 */
export class SenderIds {
  readonly #idle: string[] = []
  readonly #rng: Rng

  constructor(rng: Rng) {
    this.#rng = rng
  }

  take(): string {
    return this.#idle.pop() ?? uuid(this.#rng.bytes(16))
  }

  give(id: string): void {
    this.#idle.push(id)
  }
}

/** RFC 9562 version 4. */
function uuid(random: Uint8Array): string {
  const bytes = Uint8Array.from(random)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
