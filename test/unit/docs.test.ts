import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { describe, it } from 'node:test'

describe('reference pages', () => {
  it('are what the code says', () => {
    const run = spawnSync(process.execPath, ['scripts/gen-docs.mjs', '--check'], {
      encoding: 'utf8',
    })
    assert.equal(run.status, 0, run.stderr)
  })

  it('give every error code a meaning, once', () => {
    const rows = readFileSync('docs/reference/errors.md', 'utf8').matchAll(
      /^\| `([A-Z0-9_]+)` \| \S+ \| (.*) \|$/gm,
    )
    const seen = new Set<string>()
    for (const [, code = '', meaning = ''] of rows) {
      assert.ok(!seen.has(code), `${code} is listed twice`)
      assert.ok(meaning.length > 10, `${code} has no meaning`)
      seen.add(code)
    }
    assert.ok(seen.has('FETCH_TIMEOUT'), 'the table is read')
  })

  it('say nothing of the machine they were made on', () => {
    assert.ok(!readFileSync('docs/operations/env.md', 'utf8').includes(homedir()))
  })
})
