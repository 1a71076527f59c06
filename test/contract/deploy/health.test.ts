import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { must } from '#src/lib/errors.js'
import { scratch } from '../../support/miner.js'
import { freePort } from '../../support/ports.js'

const [, check] =
  /^HEALTHCHECK [\s\S]*?CMD (\[.*\])$/m.exec(readFileSync('docker/Dockerfile', 'utf8')) ?? []

async function healthOf(env: NodeJS.ProcessEnv): Promise<unknown> {
  const [program, ...args]: string[] = JSON.parse(must(check, 'the health check of the images'))
  const child = spawn(must(program, 'program'), args, { env, stdio: 'ignore' })
  return (await once(child, 'exit'))[0]
}

it('the health check of the images tells a living process from a dead one', async (t) => {
  const { dir, remove } = await scratch()
  t.after(remove)
  const env = {
    PATH: process.env['PATH'],
    HOME: dir,
    SUBREEL_ADMIN_PORT: String(await freePort()),
    SUBREEL_DATA_DIR: dir,
    // Nobody is there: a process that waits for Redis is well.
    REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
  }
  assert.equal(await healthOf(env), 1, 'before it runs')
  const deleter = spawn(
    process.execPath,
    ['dist/services/deleter/main.js', '--deleter.port', '0'],
    { env, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.after(() => deleter.kill('SIGKILL'))
  for await (const line of createInterface({ input: deleter.stdout }))
    if (JSON.parse(line).event === 'process.started') break
  deleter.stdout.resume()
  assert.equal(await healthOf(env), 0, 'while it runs')
  deleter.kill('SIGTERM')
  assert.equal((await once(deleter, 'exit'))[0], 0)
  assert.equal(await healthOf(env), 1, 'after its end')
})
