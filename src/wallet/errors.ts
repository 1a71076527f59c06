import { SubnetError } from '../lib/errors.js'

/** Codes of the wallet. No message or data ever holds key material or a password. */
export class WalletError extends SubnetError<
  /** The key file does not exist: check the wallet's path, name and hotkey, or make it with `btcli wallet new-hotkey`. */
  | { code: 'WALLET_FILE_MISSING'; path: string }
  /** The key file could not be read or written: the cause says why. */
  | { code: 'WALLET_FILE_UNREADABLE'; path: string }
  /** Others than its owner may read the key file: run the `chmod 600` of the message. */
  | { code: 'WALLET_FILE_EXPOSED'; path: string; mode: string }
  /** The key file is a symbolic link: name the real file's wallet instead. */
  | { code: 'WALLET_FILE_SYMLINK'; path: string }
  /** The file is no key file of btcli or bittensor-wallet: restore it from its mnemonic. */
  | { code: 'WALLET_FILE_INVALID'; path: string; why: string }
  /** A key file of that name is already there and is never overwritten: choose another name. */
  | { code: 'WALLET_FILE_EXISTS'; path: string }
  /** The file uses an old encryption that is not read here: re-encrypt it with a current btcli. */
  | { code: 'WALLET_ENCRYPTION_UNSUPPORTED'; path: string; format: string }
  /** The key is encrypted and no password was given: set the environment variable of the message. */
  | { code: 'WALLET_PASSWORD_MISSING'; path: string; variable: string }
  /** The password does not open the key file: check it. */
  | { code: 'WALLET_PASSWORD_WRONG'; path: string }
  /** A coldkey was named where a hotkey is needed: a daemon never loads a coldkey; name a hotkey. */
  | { code: 'WALLET_COLDKEY_REFUSED'; path: string }
  /** A wallet or hotkey name holds a path separator or is empty: use the bare name. */
  | { code: 'WALLET_NAME_INVALID'; what: string }
  /** A development key such as //Alice was used with a network that is not local: use a real hotkey. */
  | { code: 'WALLET_DEV_KEY_REFUSED'; endpoint: string }
  /** The secret URI is not understood: write //Name, or 0x-hex seed with //Name parts. */
  | { code: 'WALLET_URI_INVALID'; why: string }
  /** The text is not an ss58 address: check it for missing or mistyped characters. */
  | { code: 'WALLET_ADDRESS_INVALID'; why: string }
  /** A key or seed of the wrong length or form was given. */
  | { code: 'WALLET_KEY_INVALID'; why: string }
  /** The verification pool was closed while signatures were waiting. */
  | { code: 'WALLET_VERIFIER_CLOSED' }
> {}
