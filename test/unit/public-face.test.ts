import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'

const { exports: paths } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, string>
}

describe('the package', () => {
  for (const path of Object.keys(paths).filter((name) => !name.endsWith('.json'))) {
    it(`can be imported as subreel${path.slice(1)}`, async () => {
      const library = await import(`subreel${path.slice(1)}`)
      assert.ok(Object.keys(library).length > 1)
    })
  }
})
