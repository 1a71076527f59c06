import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createDevWallet } from 'subreel/wallet'
import { runChecks } from '#src/cli/doctor/index.js'
import { redisCheck } from '#src/cli/doctor/redis.js'
import { walletCheck } from '#src/cli/doctor/wallet.js'
import { loadConfig } from '#src/config/index.js'

const check = (one: typeof walletCheck, ...argv: string[]) => {
  const { config } = loadConfig({ argv, env: {} })
  const { signal } = new AbortController()
  return runChecks([one], { config, env: {}, signal, gpu: false })
}

test('the doctor opens the hotkey as a daemon would, and wants the coldkey elsewhere', async () => {
  const path = await mkdtemp(join(tmpdir(), 'doctor-'))
  try {
    const { hotkey } = await createDevWallet({ path, name: 'w', hotkey: 'h' })
    const file = (name: string) => join(path, 'w', name)
    const seen = async (...words: string[]) => {
      const where = ['--wallet.path', path, '--wallet.name', 'w', '--wallet.hotkey', 'h']
      const results = await check(walletCheck, ...where, ...words)
      return results.map(({ status, message }) => `${status} ${message}`).join('\n')
    }
    assert.match(await seen(), new RegExp(`^ok .*${hotkey}.*\nwarn .*coldkey is on this host$`))
    await unlink(file('coldkey'))
    assert.match(await seen(), /^ok [^\n]*$/)
    await unlink(file('coldkeypub.txt'))
    assert.match(await seen(), /\nwarn .*coldkeypub\.txt does not exist/)
    await chmod(file('hotkeys/h'), 0o644)
    assert.match(await seen(), /^fail .*mode 0644/)
    await chmod(file('hotkeys/h'), 0o600)
    await writeFile(file('hotkeys/h'), '{"accountId":')
    assert.match(await seen(), /^fail .*is not a key file/)
    assert.match(await seen('--wallet.hotkey', 'none'), /^fail .*does not exist/)
    assert.match(await seen('--wallet.hotkey=//Alice'), /^fail .*local networks only/)
  } finally {
    await rm(path, { recursive: true })
  }
})

test('the doctor says where it looked for Redis, without the password', async () => {
  const [result] = await check(redisCheck, '--redis.url', 'redis://:hunter2@127.0.0.1:1')
  assert.equal(result?.status, 'fail')
  assert.match(result?.message ?? '', /127\.0\.0\.1:1 .*ECONNREFUSED/)
  assert.ok(!JSON.stringify(result).includes('hunter2'))
})
