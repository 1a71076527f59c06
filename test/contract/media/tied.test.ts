import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { runProcess, sandboxTools, tied } from '#src/media/index.js'
import { tempFolder } from '../../support/clips.js'

test('a tool whose parent died before it was tied to it does not start', async (t) => {
  if (!(await sandboxTools()).setpriv) return t.diagnostic('no setpriv here: nothing is tied')
  const folder = await tempFolder(t)
  const gone = spawn('true')
  await once(gone, 'exit')
  const late = await tied('touch', [join(folder, 'late')], gone.pid)
  await assert.rejects(runProcess(late.command, late.args), { code: 'MEDIA_PROCESS_FAILED' })
  const inTime = await tied('touch', [join(folder, 'a name with "quotes" and $dollars')])
  await runProcess(inTime.command, inTime.args)
  assert.deepEqual(await readdir(folder), ['a name with "quotes" and $dollars'])
})
