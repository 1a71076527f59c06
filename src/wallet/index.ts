export { createDevWallet, type DevWallet, type DevWalletOptions } from './dev-wallet.js'
export { WalletError } from './errors.js'
export type { WalletLocation } from './files.js'
export { type HotkeyOptions, loadColdkeypub, loadHotkey, unlockColdkey } from './load.js'
export {
  type PasswordPrompt,
  type PasswordSource,
  passwordVariable,
  terminalPrompt,
} from './password.js'
export { createVerifier, type VerifierOptions } from './pool.js'
export { signerFromSecret, signerFromSeed } from './signer.js'
export { decodeAddress, encodeAddress, parseAddress, SS58_PREFIX, sameKey } from './ss58.js'
export type { CryptoScheme, SignatureVerifier, Signer } from './types.js'
export { isLocalEndpoint, seedFromUri, signerFromUri, type UriOptions } from './uri.js'
export { inlineVerifier, verifySignature } from './verifier.js'
