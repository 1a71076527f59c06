import { Secret } from '../lib/secret.js'
import type { Coldkey, Hotkey } from '../protocol/units.js'
import {
  coldkeyPath,
  coldkeypubPath,
  hotkeyPath,
  type WalletLocation,
  writeKeyFile,
} from './files.js'
import { keyFileTexts } from './keyfile.js'
import { signerFromSeed } from './signer.js'
import { seedFromUri } from './uri.js'

export interface DevWalletOptions extends WalletLocation {
  readonly hotkey: string
  /** Secret URIs such as `//Miner`; fresh random keys unless given. */
  readonly coldkeyUri?: string
  readonly hotkeyUri?: string
}

export interface DevWallet {
  readonly coldkey: Coldkey
  readonly hotkey: Hotkey
}

/**
 * Writes a whole wallet as btcli does, mode 0600, unencrypted: for local networks and tests. Keys
 * that are to hold value are made with btcli. Never overwrites.
 *
 * @throws WalletError WALLET_FILE_EXISTS, WALLET_URI_INVALID, WALLET_NAME_INVALID
 */
export async function createDevWallet(options: DevWalletOptions): Promise<DevWallet> {
  const cold = await makeKey(options.coldkeyUri)
  const hot = await makeKey(options.hotkeyUri)
  await writeKeyFile(hotkeyPath(options), Buffer.from(hot.privateText.reveal()))
  await writeKeyFile(
    hotkeyPath({ ...options, hotkey: `${options.hotkey}pub.txt` }),
    Buffer.from(hot.publicText),
  )
  await writeKeyFile(coldkeyPath(options), Buffer.from(cold.privateText.reveal()))
  await writeKeyFile(coldkeypubPath(options), Buffer.from(cold.publicText))
  return { coldkey: cold.address as string as Coldkey, hotkey: hot.address }
}

async function makeKey(uri: string | undefined) {
  let phrase: Secret<string> | undefined
  let seed: Secret<Uint8Array>
  if (uri === undefined) {
    const { mnemonicGenerate, mnemonicToMiniSecret } = await import('@polkadot/util-crypto')
    phrase = new Secret(mnemonicGenerate(12))
    seed = new Secret(mnemonicToMiniSecret(phrase.reveal()))
  } else {
    seed = seedFromUri(uri)
  }
  return { ...keyFileTexts(seed, phrase), address: signerFromSeed(seed).address }
}
