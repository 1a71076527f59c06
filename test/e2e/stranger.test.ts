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

const PAGES = ['docs/how-to/run-your-own-axon.md', 'docs/how-to/custom-synapse.md']
/** An example and what it prints. */
const EXAMPLE = /^```js run\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm

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

async function examplesOf(page: string): Promise<RegExpExecArray[]> {
  const examples = [...(await readFile(join(root, page), 'utf8')).matchAll(EXAMPLE)]
  assert.ok(examples.length > 0, 'the page has examples')
  return examples
}

describe('a stranger who installs the package', () => {
  it('imports every entry', async () => {
    const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    const entries = Object.keys(exports).filter((entry) => !entry.endsWith('.json'))
    const code = `for (const entry of ${JSON.stringify(entries)}) {
      const found = await import('subreel' + entry.slice(1))
      console.log(entry, Object.keys(found).length > 0)
    }
    process.exit()`
    const printed = (await runExample('entries.mjs', code)).trim().split('\n')
    assert.deepEqual(
      printed,
      entries.map((entry) => `${entry} true`),
    )
  })

  for (const page of PAGES) {
    it(`runs the examples of ${page}`, async () => {
      for (const [i, [, code = '', output = '']] of (await examplesOf(page)).entries()) {
        assert.equal(await runExample(`example-${i}.mjs`, code), output)
      }
    })
  }

  it('has types that hold under strict flags, without skipping those of the package', async () => {
    const examples = (await Promise.all(PAGES.map(examplesOf))).flat()
    const files = examples.map(([, code = ''], i) => ({ name: `typed-${i}.ts`, code }))
    for (const { name, code } of files) await writeFile(join(folder, name), code)
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2023', strict: true, exactOptionalPropertyTypes: true },
      ...{ noEmit: true, types: ['node'], typeRoots: [join(root, 'node_modules', '@types')] },
    }
    const config = { compilerOptions, files: files.map(({ name }) => name) }
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const compiling = run(process.execPath, [compiler, '-p', folder])
    const { stdout } = await compiling.catch((failed: { stdout: string }) => failed)
    assert.equal(stdout, '')
  })
})
