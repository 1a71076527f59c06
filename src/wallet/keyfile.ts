import { argon2i } from 'hash-wasm'
import tweetnacl from 'tweetnacl'
import { z } from 'zod'
import { Secret } from '../lib/secret.js'
import { WalletError } from './errors.js'
import { canonicalScalar, expandScalar, pairFromSeed } from './schnorrkel.js'
import { signerFromSecret, signerFromSeed } from './signer.js'
import { encodeAddress, parseAddress } from './ss58.js'
import type { CryptoScheme, Signer } from './types.js'

/**
 * The key file of btcli and bittensor-wallet: one JSON object, in the clear or as `$NACL`, 24 bytes
 * of nonce and a secretbox under argon2i of the password (libsodium's "sensitive" limits, fixed salt).
 */
const NACL_MARK = Buffer.from('$NACL', 'latin1')
const NONCE_BYTES = 24
const ARGON2I = {
  salt: Buffer.from('137183dff15a09bc9c90b5518739e9b1', 'hex'),
  iterations: 8,
  memorySize: 512 * 1024,
  parallelism: 1,
  hashLength: 32,
  outputType: 'binary',
} as const

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`))
const keyFileSchema = z.object({
  publicKey: hex(32).nullish(),
  accountId: hex(32).nullish(),
  ss58Address: z.string().nullish(),
  cryptoType: z.union([z.literal(0), z.literal(1)]).nullish(),
  privateKey: hex(64).nullish(),
  secretSeed: hex(32).nullish(),
  secretPhrase: z.string().nullish(),
})
type KeyFile = z.infer<typeof keyFileSchema>

const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.slice(2), 'hex'))
const toHex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`

export type KeyFileFormat = 'plain' | 'nacl' | 'ansible-vault' | 'fernet'

/** How a key file is encrypted, by its first bytes. */
export function keyFileFormat(bytes: Uint8Array): KeyFileFormat {
  const head = Buffer.from(bytes.subarray(0, 16)).toString('latin1')
  if (head.startsWith('$NACL')) return 'nacl'
  if (head.startsWith('$ANSIBLE_VAULT')) return 'ansible-vault'
  return head.startsWith('gAAAAA') ? 'fernet' : 'plain'
}

/** Needs 512 MiB for the derivation, some seconds of one core. */
async function passwordKey(password: Secret<string>): Promise<Uint8Array> {
  return argon2i({ ...ARGON2I, password: Buffer.from(password.reveal(), 'utf8') })
}

/** Opens a `$NACL` key file. @throws WalletError WALLET_PASSWORD_WRONG, WALLET_FILE_INVALID */
export async function decryptKeyFile(
  bytes: Uint8Array,
  password: Secret<string>,
  path: string,
): Promise<Secret<string>> {
  requireWhole(bytes, path)
  return openBox(bytes, await passwordKey(password), path)
}

/** The part of {@link decryptKeyFile} after the slow derivation: `key` is 32 bytes. */
export function openBox(bytes: Uint8Array, key: Uint8Array, path: string): Secret<string> {
  requireWhole(bytes, path)
  const start = NACL_MARK.length + NONCE_BYTES
  const nonce = Uint8Array.from(bytes.subarray(NACL_MARK.length, start))
  const plain = tweetnacl.secretbox.open(Uint8Array.from(bytes.subarray(start)), nonce, key)
  if (plain === null) {
    throw new WalletError(
      { code: 'WALLET_PASSWORD_WRONG', path },
      `the password does not open ${path}: check it, or restore the key from its mnemonic`,
    )
  }
  return new Secret(Buffer.from(plain).toString('utf8'))
}

function requireWhole(bytes: Uint8Array, path: string): void {
  if (bytes.length < NACL_MARK.length + NONCE_BYTES + tweetnacl.secretbox.overheadLength) {
    throw invalid(path, 'the encrypted text is cut short')
  }
}

function invalid(path: string, why: string): WalletError {
  return new WalletError(
    { code: 'WALLET_FILE_INVALID', path, why },
    `${path} is not a key file of btcli (${why}): restore it with \`btcli wallet regen-hotkey\``,
  )
}

function parseFile(text: string, path: string): KeyFile {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // The parser's own message quotes the text, which may hold the secret.
    throw invalid(path, 'not JSON, perhaps cut short')
  }
  const parsed = keyFileSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const fields = [
    ...new Set(parsed.error.issues.map((issue) => issue.path.join('.') || 'top level')),
  ]
  throw invalid(path, `wrong ${fields.join(', ')}`)
}

/** The address that a public or private key file states. @throws WalletError WALLET_FILE_INVALID */
export function addressOfKeyFile(text: string, path: string): string {
  const bare = text.trim()
  if (!('why' in parseAddress(bare))) return bare
  const file = parseFile(text, path)
  const publicKey = file.publicKey ?? file.accountId
  if (publicKey) return encodeAddress(fromHex(publicKey))
  const stated = parseAddress(file.ss58Address ?? '')
  if ('why' in stated) throw invalid(path, 'no public key and no address')
  return encodeAddress(stated.publicKey)
}

/**
 * The signer in the JSON text of a private key file.
 *
 * `secretSeed` and `secretPhrase` come first: `privateKey` is the bare scalar, eight times smaller than
 * the form that signs, and is used only when it stands alone.
 *
 * @throws WalletError WALLET_FILE_INVALID
 */
export async function signerFromKeyFile(text: Secret<string>, path: string): Promise<Signer> {
  const file = parseFile(text.reveal(), path)
  const scheme: CryptoScheme = file.cryptoType === 0 ? 'ed25519' : 'sr25519'
  const signer = await signerOf(file, scheme, path)
  const stated = file.publicKey ?? file.accountId
  if (stated && toHex(signer.publicKey) !== stated.toLowerCase()) {
    throw invalid(path, 'its secret belongs to another public key')
  }
  return signer
}

async function signerOf(file: KeyFile, scheme: CryptoScheme, path: string): Promise<Signer> {
  if (file.secretSeed) return signerFromSeed(new Secret(fromHex(file.secretSeed)), scheme)
  if (file.secretPhrase) return signerFromSeed(await seedOfPhrase(file.secretPhrase, path), scheme)
  if (file.privateKey && scheme === 'sr25519') {
    try {
      return signerFromSecret(new Secret(expandScalar(fromHex(file.privateKey))))
    } catch {
      throw invalid(path, 'its private key is no key')
    }
  }
  if (file.privateKey) {
    // ed25519: the first half is the seed.
    return signerFromSeed(new Secret(fromHex(file.privateKey).slice(0, 32)), scheme)
  }
  throw invalid(path, 'it holds no secret; the public file lies beside the private one')
}

async function seedOfPhrase(phrase: string, path: string): Promise<Secret<Uint8Array>> {
  // Loaded when needed: the word list and its module are slow to import.
  const { mnemonicToMiniSecret, mnemonicValidate } = await import('@polkadot/util-crypto')
  if (!mnemonicValidate(phrase)) throw invalid(path, 'its phrase is no mnemonic')
  return new Secret(mnemonicToMiniSecret(phrase))
}

/** The public and private JSON texts of an sr25519 key, as btcli writes them. */
export function keyFileTexts(
  seed: Secret<Uint8Array>,
  phrase?: Secret<string>,
): { readonly publicText: string; readonly privateText: Secret<string> } {
  const { secret, publicKey } = pairFromSeed(seed.reveal())
  const open = {
    accountId: toHex(publicKey),
    publicKey: toHex(publicKey),
    ss58Address: encodeAddress(publicKey),
    cryptoType: 1,
  }
  return {
    publicText: JSON.stringify(open),
    privateText: new Secret(
      JSON.stringify({
        ...open,
        privateKey: toHex(canonicalScalar(secret)),
        secretSeed: toHex(seed.reveal()),
        ...(phrase === undefined ? {} : { secretPhrase: phrase.reveal() }),
      }),
    ),
  }
}
