import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { type OutputFile, writePackage } from '#src/media/package/index.js'
import { checkPlayable } from '#src/scoring/playable.js'

const signal = new AbortController().signal

it('a package of generated files plays when it holds a video that does', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'subreel-playable-'))
  try {
    const output = async (name: string, from?: string): Promise<OutputFile> => {
      const path = join(dir, name)
      if (from === undefined) await writeFile(path, 'no video')
      else await copyFile(from, path)
      const where = { nodeId: '6', key: 'images', filename: name, subfolder: '', type: 'output' }
      return { ...where, path, sizeBytes: (await stat(path)).size }
    }
    const [clip] = (await readdir('test/fixtures/media')).filter((file) => file.endsWith('.mp4'))
    const video = await output('clip.mp4', join('test/fixtures/media', clip ?? ''))
    const metadata = { version: 1 as const, files: [] }
    const good = join(dir, 'good.zip')
    await writePackage(good, [await output('notes.txt'), video], metadata)
    const playable = await checkPlayable(good, {}, signal)
    assert.equal(playable.ok, true, playable.reason)
    const bad = join(dir, 'bad.zip')
    await writePackage(bad, [await output('other.txt')], metadata)
    assert.equal((await checkPlayable(bad, {}, signal)).ok, false)
    await writeFile(join(dir, 'torn.zip'), 'PK\u0003\u0004 torn')
    assert.equal((await checkPlayable(join(dir, 'torn.zip'), {}, signal)).ok, false)
  } finally {
    await rm(dir, { recursive: true })
  }
})
