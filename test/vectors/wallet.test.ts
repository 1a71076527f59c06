import assert from 'node:assert/strict'
import {
  chmod,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import {
  createDevWallet,
  loadColdkeypub,
  loadHotkey,
  passwordVariable,
  terminalPrompt,
  unlockColdkey,
  verifySignature,
  WalletError,
} from 'subreel/wallet'
import { createLog } from '#src/lib/log.js'
import { Secret } from '#src/lib/secret.js'
import { openBox, signerFromKeyFile } from '#src/wallet/keyfile.js'
import { findPasswords } from '#src/wallet/password.js'

/** Files written by bittensor_wallet 4.1.1 and bittensor_core 0.1.5: fixtures/wallet/README.md. */
const fixtures = new URL('../../../test/fixtures/wallet/', import.meta.url)
const expected = JSON.parse(await readFile(new URL('expected.json', fixtures), 'utf8'))
const message = Buffer.from('message')

describe('wallet files', () => {
  let folder = ''
  const at = (hotkey: string) => ({ path: folder, name: 'fixture', hotkey })
  const file = (...parts: string[]) => join(folder, 'fixture', ...parts)

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'subreel-wallet-'))
    await cp(new URL('btw4/', fixtures), folder, { recursive: true })
    for (const parts of [['coldkey'], ['hotkeys', 'default'], ['hotkeys', 'locked']]) {
      await chmod(file(...parts), 0o600)
    }
  })
  after(() => rm(folder, { recursive: true }))

  it('loads a clear hotkey of bittensor_wallet 4.1.1 and signs with it', async () => {
    const signer = await loadHotkey(at('default'))
    assert.equal(signer.address, expected.hotkey.ss58)
    const { publicKey, scheme } = signer
    const signature = signer.sign(message)
    assert.ok(verifySignature({ scheme, publicKey, message, signature }))
  })

  it('reads the coldkey address from coldkeypub.txt', async () => {
    assert.equal(await loadColdkeypub(at('default')), expected.coldkey.ss58)
  })

  it('opens an encrypted hotkey with the password that bittensor_wallet left in the environment', async () => {
    const path = file('hotkeys', 'locked')
    const variable = passwordVariable(path)
    const mask = Buffer.from(variable)
    const masked = Buffer.from(expected.password).map(
      (byte, i) => byte ^ (mask[i % mask.length] ?? 0),
    )
    const env = { [variable]: Buffer.from(masked).toString('base64') }
    const signer = await loadHotkey({ ...at('locked'), env })
    assert.equal(signer.address, expected.hotkey.ss58)
  })

  it('opens what bittensor_wallet 4.1.1 and bittensor_core 0.1.5 encrypted, with the right key alone', async () => {
    const key = Uint8Array.from(Buffer.from(expected.argon2i.key, 'hex'))
    for (const [name, who] of [
      ['btw4/fixture/coldkey', 'coldkey'],
      ['btw4/fixture/hotkeys/locked', 'hotkey'],
      ['core11/coldkey.enc', 'coldkey'],
      ['core11/hotkey.enc', 'hotkey'],
    ] as const) {
      const bytes = await readFile(new URL(name, fixtures))
      const signer = await signerFromKeyFile(openBox(bytes, key, name), name)
      assert.equal(signer.address, expected[who].ss58, name)
      const refused = { code: 'WALLET_PASSWORD_WRONG' }
      assert.throws(() => openBox(bytes, new Uint8Array(32), name), refused, name)
      const touched = Buffer.from(bytes)
      touched[60] = (touched[60] ?? 0) ^ 1
      assert.throws(() => openBox(touched, key, name), refused, name)
    }
  })

  it('names the variable as bittensor_wallet 4.1.1 does', () => {
    assert.equal(
      passwordVariable('/tmp/bt w-x.y/hotkeys/default'),
      'BT_PW__TMP_BT W-X_Y_HOTKEYS_DEFAULT',
    )
  })

  it('reads the key texts of bittensor_core 0.1.5', async () => {
    for (const key of ['coldkey', 'hotkey'] as const) {
      const text = await readFile(new URL(`core11/${key}.json`, fixtures), 'utf8')
      const signer = await signerFromKeyFile(new Secret(text), key)
      assert.equal(signer.address, expected[key].ss58, key)
      const { secretSeed: _seed, ...phraseOnly } = JSON.parse(text)
      const { secretPhrase: _phrase, ...scalarOnly } = phraseOnly
      for (const part of [phraseOnly, scalarOnly]) {
        const again = await signerFromKeyFile(new Secret(JSON.stringify(part)), key)
        assert.equal(again.address, signer.address, Object.keys(part).join())
        const { publicKey } = again
        const signature = again.sign(message)
        assert.ok(verifySignature({ scheme: 'sr25519', publicKey, message, signature }))
      }
    }
  })

  it('takes a plain password from the environment, or else asks', async () => {
    const path = '/w/a-b/hotkeys/x'
    const plain = await findPasswords(path, { env: { BT_PW__W_A_B_HOTKEYS_X: 'hunter 2' } })
    assert.deepEqual(
      plain.map((secret) => secret.reveal()),
      ['hunter 2'],
    )
    const prompt = async (asked: string) => new Secret(`for ${asked}`)
    const typed = await findPasswords(path, { env: {}, prompt })
    assert.deepEqual(
      typed.map((secret) => secret.reveal()),
      [`for ${path}`],
    )
  })

  it('reads a password from a terminal without showing it', async () => {
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => input })
    const output = new PassThrough()
    const prompt = terminalPrompt(input, output)
    assert.ok(prompt !== undefined)
    const asked = prompt('key')
    input.write('sekreq\u007ft\r')
    assert.equal((await asked).reveal(), 'sekret')
    assert.equal(output.read().toString(), 'Password for key: \n')
    const interrupted = prompt('key')
    input.write('se\u0003')
    await assert.rejects(interrupted, { name: 'AbortError' })
    assert.equal(terminalPrompt(new PassThrough(), output), undefined)
  })

  it('says which variable is missing', async () => {
    await assert.rejects(loadHotkey(at('locked')), (error: unknown) => {
      assert.ok(error instanceof WalletError)
      assert.equal(error.code, 'WALLET_PASSWORD_MISSING')
      assert.match(error.message, /set BT_PW_\w+_FIXTURE_HOTKEYS_LOCKED to its password/)
      return true
    })
  })

  it('refuses a key file that others may read and says how to mend it', async () => {
    const path = file('hotkeys', 'default')
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      await chmod(path, mode)
      await assert.rejects(loadHotkey(at('default')), (error: unknown) => {
        assert.ok(error instanceof WalletError && error.code === 'WALLET_FILE_EXPOSED')
        assert.ok(error.message.includes(`chmod 600 ${path}`))
        return true
      })
    }
    await chmod(path, 0o600)
    assert.ok(await loadHotkey(at('default')))
  })

  it('refuses a link, a cut file, old encryptions, a public file and names with paths', async () => {
    const key = await readFile(file('hotkeys', 'default'), 'utf8')
    await symlink(file('hotkeys', 'default'), file('hotkeys', 'link'))
    const put = (name: string, text: string) =>
      writeFile(file('hotkeys', name), text, { mode: 0o600 })
    await put('cut', key.slice(0, 200))
    await put('ansible', '$ANSIBLE_VAULT;1.1;AES256\n6162')
    await put('fernet', 'gAAAAABlabcdef')
    await put('public', await readFile(file('coldkeypub.txt'), 'utf8'))
    await put(
      'mixed',
      JSON.stringify({ ...JSON.parse(key), publicKey: expected.coldkey.publicKey }),
    )
    await put('short', '$NACLabc')
    const codes: Record<string, string> = {
      link: 'WALLET_FILE_SYMLINK',
      cut: 'WALLET_FILE_INVALID',
      ansible: 'WALLET_ENCRYPTION_UNSUPPORTED',
      fernet: 'WALLET_ENCRYPTION_UNSUPPORTED',
      public: 'WALLET_FILE_INVALID',
      mixed: 'WALLET_FILE_INVALID',
      absent: 'WALLET_FILE_MISSING',
      '../coldkey': 'WALLET_NAME_INVALID',
      '..': 'WALLET_NAME_INVALID',
      '': 'WALLET_NAME_INVALID',
    }
    for (const [hotkey, code] of Object.entries(codes)) {
      await assert.rejects(loadHotkey(at(hotkey)), { code }, hotkey)
    }
    const env = { [passwordVariable(file('hotkeys', 'short'))]: 'x' }
    await assert.rejects(loadHotkey({ ...at('short'), env }), { code: 'WALLET_FILE_INVALID' })
  })

  it('refuses a coldkey that is put in place of a hotkey', async () => {
    const cold = await readFile(new URL('core11/coldkey.json', fixtures))
    await writeFile(file('hotkeys', 'cold'), cold, { mode: 0o600 })
    await assert.rejects(loadHotkey(at('cold')), { code: 'WALLET_COLDKEY_REFUSED' })
  })

  it('writes wallets as btcli lays them, 0600, and never over another', async () => {
    const where = { path: folder, name: 'made', hotkey: 'worker' }
    const made = await createDevWallet({ ...where, hotkeyUri: '//Worker' })
    assert.equal(await loadColdkeypub(where), made.coldkey)
    assert.equal((await loadHotkey(where)).address, made.hotkey)
    assert.equal((await unlockColdkey(where)).address, made.coldkey)
    const names = await readdir(join(folder, 'made'), { recursive: true })
    assert.deepEqual(names.sort(), [
      'coldkey',
      'coldkeypub.txt',
      'hotkeys',
      'hotkeys/worker',
      'hotkeys/workerpub.txt',
    ])
    for (const name of names.filter((path) => path !== 'hotkeys')) {
      assert.equal((await stat(join(folder, 'made', name))).mode & 0o777, 0o600, name)
    }
    await assert.rejects(createDevWallet(where), { code: 'WALLET_FILE_EXISTS' })
  })

  it('shows no secret in logs, errors or inspection, whatever goes wrong', async () => {
    const lines: string[] = []
    const log = createLog('test', {
      level: 'trace',
      destination: { write: (line) => void lines.push(line) },
    })
    const key = await readFile(file('hotkeys', 'default'), 'utf8')
    const bad = [
      key.slice(0, -3),
      key.replace('"cryptoType":1', '"cryptoType":7'),
      `${key}x`,
      key.replace('0x6fa2', '0x7fa2'),
    ]
    for (const [i, text] of bad.entries()) {
      await writeFile(file('hotkeys', `bad${i}`), text, { mode: 0o600 })
      const error: unknown = await loadHotkey(at(`bad${i}`)).catch((reason: unknown) => reason)
      assert.ok(error instanceof WalletError, `bad${i}`)
      log.error({ event: 'wallet.refused', err: error }, 'wallet refused')
      lines.push(inspect(error, { depth: 9 }), `${error.stack}`, JSON.stringify(error.data))
    }
    const signer = await loadHotkey(at('default'))
    log.info({ event: 'wallet.loaded', signer }, 'wallet loaded')
    lines.push(inspect(signer, { depth: 9, showHidden: true }))
    const seen = lines.join('\n')
    assert.ok(seen.includes(signer.address))
    const { secretSeed, secretPhrase, privateKey } = JSON.parse(key)
    for (const secret of [secretSeed, secretPhrase, privateKey]) {
      for (const part of [secret, secret.slice(10, 26)]) assert.ok(!seen.includes(part))
    }
  })
})
