import { Secret } from '../lib/secret.js'
import { type Coldkey, toColdkey } from '../protocol/units.js'
import { WalletError } from './errors.js'
import {
  coldkeyPath,
  coldkeypubPath,
  hotkeyPath,
  readKeyFile,
  type WalletLocation,
} from './files.js'
import { addressOfKeyFile, decryptKeyFile, keyFileFormat, signerFromKeyFile } from './keyfile.js'
import { findPasswords, type PasswordSource } from './password.js'
import type { Signer } from './types.js'
import { signerFromUri } from './uri.js'

export interface HotkeyOptions extends WalletLocation, PasswordSource {
  /** The hotkey's name, or on a local network a development key such as `//Alice`. */
  readonly hotkey: string
  /** The chain the key is for; development keys are refused unless it is local. */
  readonly chainEndpoint?: string
}

/**
 * Loads the hotkey of a daemon: `<path>/<name>/hotkeys/<hotkey>`.
 *
 * Refuses a coldkey, whatever it is called: a hotkey signs requests, a coldkey moves funds.
 *
 * @throws WalletError
 * @example
 * const wallet = await loadHotkey({ path: '/home/me/.bittensor/wallets', name: 'miner', hotkey: 'default' })
 */
export async function loadHotkey(options: HotkeyOptions): Promise<Signer> {
  const { hotkey, chainEndpoint } = options
  if (hotkey.startsWith('//')) {
    return signerFromUri(hotkey, { chainEndpoint: chainEndpoint ?? 'unknown' })
  }
  const path = hotkeyPath(options)
  const signer = await openPrivate(path, options)
  const coldkey = await loadColdkeypub(options).catch((error: unknown) => {
    if (error instanceof WalletError && error.code === 'WALLET_FILE_MISSING') return undefined
    throw error
  })
  if (coldkey !== undefined && (coldkey as string) === signer.address) {
    throw new WalletError(
      { code: 'WALLET_COLDKEY_REFUSED', path },
      `${path} holds the coldkey of its wallet: a daemon never loads a coldkey; make a hotkey for it`,
    )
  }
  return signer
}

/** The coldkey's address, from the public file beside it. @throws WalletError */
export async function loadColdkeypub(where: WalletLocation): Promise<Coldkey> {
  const path = coldkeypubPath(where)
  const bytes = await readKeyFile(path, 'public')
  return toColdkey(addressOfKeyFile(Buffer.from(bytes).toString('utf8'), path))
}

/**
 * Opens the coldkey, which moves funds: for the command line and a person at it, never for a daemon.
 *
 * @throws WalletError
 */
export async function unlockColdkey(options: WalletLocation & PasswordSource): Promise<Signer> {
  return openPrivate(coldkeyPath(options), options)
}

async function openPrivate(path: string, source: PasswordSource): Promise<Signer> {
  const bytes = await readKeyFile(path, 'private')
  const format = keyFileFormat(bytes)
  if (format === 'plain') {
    return signerFromKeyFile(new Secret(Buffer.from(bytes).toString('utf8')), path)
  }
  if (format !== 'nacl') {
    throw new WalletError(
      { code: 'WALLET_ENCRYPTION_UNSUPPORTED', path, format },
      `${path} uses the old ${format} encryption: open and save it once with a current btcli`,
    )
  }
  const passwords = await findPasswords(path, source)
  let refusal: unknown
  for (const password of passwords) {
    try {
      return await signerFromKeyFile(await decryptKeyFile(bytes, password, path), path)
    } catch (error) {
      refusal = error
      if (!(error instanceof WalletError) || error.code !== 'WALLET_PASSWORD_WRONG') throw error
    }
  }
  throw refusal
}
