import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.js'

export interface TestPostgres {
  readonly url: string
  stop(): Promise<void>
}

/** The folder of PostgreSQL's programs: Debian keeps them off the PATH. */
function binDir(): string {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian)
    ? readdirSync(debian).sort((a, b) => Number(b) - Number(a))
    : []
  const found = versions
    .map((version) => join(debian, version, 'bin'))
    .find((dir) => existsSync(join(dir, 'initdb')))
  if (found !== undefined) return found
  const onPath = (process.env['PATH'] ?? '')
    .split(':')
    .find((dir) => existsSync(join(dir, 'initdb')))
  if (onPath === undefined)
    throw new Error('PostgreSQL is not installed: run node scripts/setup.mjs --for test')
  return onPath
}

/** A real PostgreSQL on a free loopback port in a temporary folder. It refuses to run as root: then as `postgres`. */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = binDir()
  const dir = mkdtempSync(join(tmpdir(), 'subreel-pg-'))
  const root = process.getuid?.() === 0
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  const owner = root ? { uid: id('-u'), gid: id('-g') } : {}
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(dir, owner.uid, owner.gid)
  chmodSync(dir, 0o700)
  const data = join(dir, 'data')
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'subreel', '-A', 'trust', '-E', 'UTF8', '--no-sync'],
    {
      ...owner,
      stdio: 'pipe',
      cwd: dir,
    },
  )
  const port = await freePort()
  const child = spawn(
    join(bin, 'postgres'),
    [
      '-D',
      data,
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      '-k',
      dir,
      '-c',
      'fsync=off',
      '-c',
      'max_connections=32',
    ],
    { ...owner, cwd: dir, stdio: 'ignore' },
  )
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await listening(port)
  return {
    url: `postgres://subreel@127.0.0.1:${port}/postgres`,
    async stop() {
      child.kill('SIGINT')
      await exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Resolves when the server has begun to accept sessions. */
async function listening(port: number): Promise<void> {
  const { Client } = (await import('pg')).default
  for (let i = 0; i < 200; i += 1) {
    const client = new Client({ host: '127.0.0.1', port, user: 'subreel', database: 'postgres' })
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      await client.end().catch(() => {})
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`PostgreSQL on port ${port} did not become ready`)
}
