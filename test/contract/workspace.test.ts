import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { SystemClock } from '#src/lib/clock.js'
import { silentLog } from '#src/lib/log.js'
import { SystemRng } from '#src/lib/rng.js'
import { Workspace, type WorkspaceOptions } from '#src/lib/workspace.js'
import { tempFolder } from '../support/clips.js'

const clock = new SystemClock()

async function open(t: TestContext, options: Omit<WorkspaceOptions, 'root'> = {}) {
  const root = await tempFolder(t)
  const modules = { clock, rng: new SystemRng(), log: silentLog() }
  const workspace = new Workspace({ root, minFreeBytes: 0, ...options }, modules)
  return { root, workspace }
}

/** A folder as a job leaves it: `bytes` in one file, last touched `ageSeconds` ago. */
async function leave(home: string, name: string, bytes: number, ageSeconds: number): Promise<void> {
  const path = join(home, name)
  await mkdir(path, { recursive: true })
  await writeFile(join(path, 'file'), Buffer.alloc(bytes))
  const at = clock.now() / 1_000 - ageSeconds
  await utimes(path, at, at)
}

/** The number of a process that was and is no more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? -1
}

test('removes what a killed process left, and nothing of a living one', async (t) => {
  const { root, workspace } = await open(t)
  await leave(join(root, `p${await deadPid()}-aa`), 'job', 10, 0)
  await leave(join(root, `p${process.ppid}-bb`), 'job', 10, 9_000)
  await workspace.open()
  await workspace.sweep()
  const left = (await readdir(root)).filter((name) => !name.startsWith(`p${process.pid}-`))
  assert.deepEqual(left, [`p${process.ppid}-bb`])
  await workspace.close()
})

test('removes folders by age, then the oldest while too much lies there, and none that is in use', async (t) => {
  const { root, workspace } = await open(t, { softCapBytes: 2_500 })
  await workspace.open()
  const [own = ''] = await readdir(root)
  const home = join(root, own)
  await leave(home, 'expired', 10, 4_300)
  await leave(home, 'old', 1_000, 600)
  await leave(home, 'less-old', 1_000, 300)
  await leave(home, 'young', 1_000, 10)
  const seen = await workspace.within(async (dir) => {
    await writeFile(join(dir, 'file'), Buffer.alloc(1_000))
    const at = clock.now() / 1_000 - 9_000
    await utimes(dir, at, at)
    await workspace.sweep()
    return readdir(home)
  })
  const names = seen.filter((name) => !/^[0-9a-f]{16}$/.test(name))
  assert.equal(seen.length, names.length + 1, 'the folder in use stays, however old')
  assert.deepEqual(names, ['young'])
  assert.deepEqual(await readdir(home), ['young'], 'a folder goes with its job')
})

test('says that the disk is full when a tool could not write, and takes no work before', async (t) => {
  const { workspace } = await open(t)
  await workspace.open()
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' })
  const run = workspace.within(() => Promise.reject(new Error('ffmpeg failed', { cause: full })))
  await assert.rejects(run, { code: 'LIB_DISK_FULL', retryable: true })
  const none = await open(t, { minFreeBytes: Number.MAX_SAFE_INTEGER })
  await none.workspace.open()
  await assert.rejects(
    none.workspace.within(async () => 1),
    { code: 'LIB_DISK_FULL' },
  )
})
