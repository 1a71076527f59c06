import type { Hotkey } from '../protocol/units.js'

export type CryptoScheme = 'sr25519' | 'ed25519'

/** Signs with a hotkey. Implementations hold the secret; nothing else in the process sees it. */
export interface Signer {
  readonly scheme: CryptoScheme
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** ss58 with prefix 42. */
  readonly address: Hotkey
  /** 64 bytes over `message`; sr25519 uses the signing context `substrate`. */
  sign(message: Uint8Array): Uint8Array
}

/** Checks signatures, in this thread or in a pool. Never throws for a bad signature: false. */
export interface SignatureVerifier {
  verify(input: {
    readonly scheme: CryptoScheme
    readonly publicKey: Uint8Array
    readonly message: Uint8Array
    readonly signature: Uint8Array
  }): boolean | Promise<boolean>
}
