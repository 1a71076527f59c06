// Runs every example in docs/ that is fenced as `js run` and compares what it prints with the `text`
// block that follows it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

// Inside the package, so that examples import it by its own name.
const BUILD = join(process.cwd(), '.build', 'docs-examples')
const EXAMPLE = /^```js run\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm

const run = promisify(execFile)
const pages = readdirSync('docs', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name))
  .sort()
const examples = pages.flatMap((page) =>
  [...readFileSync(page, 'utf8').matchAll(EXAMPLE)].map(([, code = '', output], i) => ({
    name: `${relative('docs', page)} example ${i + 1}`,
    code,
    output,
  })),
)

describe('examples in the docs', () => {
  it('are found', () => {
    assert.ok(examples.length >= 5, `${examples.length} found`)
  })

  for (const { name, code, output } of examples) {
    it(`${name} runs and prints what the page says`, async () => {
      mkdirSync(BUILD, { recursive: true })
      const file = join(BUILD, `${name.replace(/[^a-z0-9]+/g, '-')}.mjs`)
      writeFileSync(file, code)
      const { stdout } = await run(process.execPath, [file], { timeout: 60_000 })
      assert.equal(stdout, output ?? '')
    })
  }
})
