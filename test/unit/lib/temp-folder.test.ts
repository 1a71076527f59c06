import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'node:test'
import { tempFolder } from '#src/lib/temp-folder.js'

test('a folder for temporary files goes with what is in it, also when the work fails', async () => {
  await using parent = await tempFolder('subreel-test-')
  let path = ''
  const work = async () => {
    await using folder = await tempFolder('inner-', parent.path)
    path = folder.path
    await writeFile(join(path, 'file'), 'x')
    throw new Error('the work failed')
  }
  await assert.rejects(work, /the work failed/)
  assert.equal(dirname(path), parent.path)
  assert.ok(path.startsWith(join(parent.path, 'inner-')))
  assert.ok(!existsSync(path))
})
