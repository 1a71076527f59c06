// The package as a stranger gets it: packed, put into an empty folder with its declared dependencies
// and nothing else, and the examples of the docs run as they are written.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = process.cwd()

/** Pages and what the last example of each prints; an example that runs is marked `js run`. */
const PAGES: Readonly<Record<string, RegExp>> = {
  'docs/how-to/run-your-own-axon.md': /^200 https:\/\/example\.com\/clip\.mp4\?for=3\n$/,
}

let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'subreel-stranger-'))
  const modules = join(folder, 'node_modules')
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: root, maxBuffer: 64 * 2 ** 20 },
  )
  const [packed] = JSON.parse(stdout) as [{ filename: string }]
  const home = join(modules, 'subreel')
  await mkdir(home, { recursive: true })
  await run('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', home])
  const { dependencies } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of Object.keys(dependencies)) {
    const link = join(modules, name)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(root, 'node_modules', name), link)
  }
})
after(() => rm(folder, { recursive: true, force: true }))

async function runExample(name: string, code: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, code)
  const { stdout } = await run(process.execPath, [file], { cwd: folder, timeout: 60_000 })
  return stdout
}

describe('a stranger who installs the package', () => {
  it('imports every public entry', async () => {
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const entries = Object.keys(exports).filter((entry) => !entry.endsWith('.json'))
    const code = `for (const entry of ${JSON.stringify(entries)}) {
      const found = await import('subreel' + entry.slice(1))
      if (Object.keys(found).length === 0) throw new Error(entry + ' exports nothing')
      console.log(entry)
    }
    process.exit(0)`
    assert.deepEqual((await runExample('entries.mjs', code)).trim().split('\n'), entries)
  })

  for (const [page, expected] of Object.entries(PAGES)) {
    it(`runs the examples of ${page}`, async () => {
      const text = await readFile(join(root, page), 'utf8')
      const blocks = [...text.matchAll(/^```js run\n(.*?)^```/gms)].map((match) => match[1] ?? '')
      assert.ok(blocks.length > 0, 'the page has examples')
      let printed = ''
      for (const [i, block] of blocks.entries()) {
        // `await using` is newer than the oldest Node we run on; TypeScript users have it anyway.
        printed = await runExample(`example-${i}.mjs`, block)
      }
      assert.match(printed, expected)
    })
  }
})
