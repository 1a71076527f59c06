import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const STUBBORN = fileURLToPath(new URL('../support/daemon-process.js', import.meta.url))

interface Started {
  readonly child: ChildProcess
  readonly log: Record<string, unknown>[]
  readonly adminPort: number
}

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function startStubborn(graceMs: number, ...more: string[]): Promise<Started> {
  const child = spawn(process.execPath, [STUBBORN, String(graceMs), ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const log: Record<string, unknown>[] = []
  const adminPort = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line)
      log.push(entry)
      if (entry.event === 'process.started') resolve(entry.adminPort)
    })
  })
  return { child, log, adminPort }
}

async function exitOf({ child }: Started): Promise<number | null> {
  const [code] = await once(child, 'exit')
  return code
}

function run(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...args],
      { env: { PATH: process.env['PATH'] ?? '', HOME: tmpdir(), ...env } },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err })
      },
    )
  })
}

describe('every process', () => {
  it('lists all problems of its settings and exits 2', async () => {
    const { code, err } = await run(['dist/miner.js', '--netuid', 'nonsense', '--walet.name', 'x'])
    assert.equal(code, 2)
    assert.match(err, /--netuid must be an integer/)
    assert.match(err, /--walet\.name is not a setting; did you mean --wallet\.name\?/)
  })

  it('explains itself without starting', async () => {
    for (const main of ['dist/miner.js', 'dist/validator.js', 'dist/services/gateway/main.js']) {
      const { code, out } = await run([main, '--help'])
      assert.equal(code, 0, main)
      assert.match(out, /--admin\.port {2}\(default 0; SUBREEL_ADMIN_PORT\)/)
    }
    const shown = await run(['dist/miner.js', 'config', 'show', '--netuid', '85'], {
      BUCKET_COMPATIBLE_SECRET_KEY: 'hunter2',
    })
    assert.match(shown.out, /^netuid +85 {2}\(flag\)$/m)
    assert.ok(!shown.out.includes('hunter2'))
  })

  it('serves health with reasons, metrics and the log level to its operator', async () => {
    const { adminPort } = await startStubborn(0)
    const at = (path: string, init?: RequestInit) =>
      fetch(`http://127.0.0.1:${adminPort}${path}`, init)
    assert.equal((await at('/livez')).status, 200)
    const ready = await at('/readyz')
    assert.equal(ready.status, 503)
    assert.match(JSON.stringify(await ready.json()), /moon.*the moon is away/)
    assert.match(await (await at('/metrics')).text(), /process_cpu_seconds_total/)
    const level = (body: string) =>
      at('/log-level', { method: 'PUT', headers: { 'content-type': 'application/json' }, body })
    assert.equal((await level('{"level":"debug"}')).status, 200)
    assert.equal((await level('{"level":"loud"}')).status, 400)
  })

  it('writes its log to the console and to a file, and opens the file again for logrotate', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'subreel-logs-'))
    const child = spawn(
      process.execPath,
      ['dist/services/scorer/main.js', '--scorer.port', '0', '--logging.logging_dir', folder],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    children.push(child)
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const file = join(folder, 'scorer.log')
    assert.equal((await readFile(file, 'utf8')).split('\n')[0], line)
    await rename(file, `${file}.1`)
    child.kill('SIGHUP')
    while (!(await readdir(folder)).includes('scorer.log')) await setImmediate()
    child.kill('SIGTERM')
    await once(child, 'exit')
    assert.match(await readFile(file, 'utf8'), /process\.stopped/)
    await rm(folder, { recursive: true })
  })

  it('aborts what does not finish in its grace period, closes in reverse order and exits 0', async () => {
    const started = await startStubborn(100)
    started.child.kill('SIGTERM')
    assert.equal(await exitOf(started), 0)
    const events = started.log.map(({ event, order }) => order ?? event)
    assert.ok(events.includes('process.grace-ended'), events.join())
    assert.ok(events.indexOf('second opened') < events.indexOf('first opened'), events.join())
  })

  it('ends although its work heeds nothing', async () => {
    const started = await startStubborn(0, 'deaf')
    started.child.kill('SIGTERM')
    assert.equal(await exitOf(started), 0)
    assert.ok(
      started.log.some(({ order }) => order === 'first opened'),
      'everything was closed',
    )
  })

  it('ends with 1, and closes everything, when it must not go on', async () => {
    const started = await startStubborn(600_000, 'failing')
    assert.equal(await exitOf(started), 1)
    const events = started.log.map(({ event, order }) => order ?? event)
    assert.ok(events.includes('process.failed'), events.join())
    assert.ok(events.includes('first opened'), events.join())
  })

  it('exits at once at the second signal', async () => {
    const started = await startStubborn(600_000)
    started.child.kill('SIGTERM')
    while (!started.log.some(({ event }) => event === 'process.stop-requested')) {
      await setImmediate()
    }
    started.child.kill('SIGTERM')
    assert.equal(await exitOf(started), 130)
  })
})

describe('subreel doctor', () => {
  it('says of every part whether it is fit and what to do, and exits 1 when one is not', async () => {
    const home = await mkdtemp(join(tmpdir(), 'subreel-home-'))
    try {
      const { code, out } = await run(
        [
          'dist/cli/main.js',
          'doctor',
          '--json',
          '--redis.url',
          'redis://127.0.0.1:1',
          '--subtensor.chain_endpoint',
          'ws://127.0.0.1:1',
          '--neuron.data_dir',
          home,
        ],
        { HOME: home },
      )
      assert.equal(code, 1)
      const results: { check: string; status: string; fix?: string }[] = JSON.parse(out)
      const statusOf = (name: string) =>
        results.filter(({ check }) => check === name).map(({ status }) => status)
      assert.deepEqual(statusOf('redis'), ['fail'])
      assert.deepEqual(statusOf('wallet'), ['fail'])
      assert.deepEqual(statusOf('store'), ['ok'])
      assert.deepEqual(statusOf('database'), ['ok'])
      assert.deepEqual(statusOf('chain'), ['fail'])
      assert.deepEqual(statusOf('node'), ['ok'])
      assert.ok(statusOf('ffmpeg').includes('ok'))
      for (const { check, status, fix } of results)
        assert.ok(status === 'ok' || fix !== undefined, `${check} says what to do`)
    } finally {
      await rm(home, { recursive: true })
    }
  })
})
