import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { GATES } from '#src/scoring/gates/codes.js'

it('docs/reference/scoring.md lists exactly the gates there are, in their words', () => {
  const page = readFileSync('docs/reference/scoring.md', 'utf8')
  const section = page.slice(page.indexOf('## Gates'), page.indexOf('## Compression'))
  const rows = [...section.matchAll(/^\| `([a-z-]+)` \| (.+) \|$/gm)].map((m) => [m[1], m[2]])
  assert.deepEqual(rows, Object.entries(GATES))
})
