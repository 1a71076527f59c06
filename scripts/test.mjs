// Runs the built tests with node:test. Usage: node scripts/test.mjs [kind|path-part ...]
// Each file is its own process. Kinds that start servers run with less parallelism than unit tests.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const built = join(root, '.build', 'test')
const filters = process.argv.slice(2).filter((word) => !word.startsWith('-'))

function* testFiles(dir) {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) yield* testFiles(path)
    else if (entry.name.endsWith('.test.js')) yield path
  }
}

const skipped = ['bench', 'types', 'interop']
const files = [...testFiles(built)]
  .filter((file) => !skipped.includes(relative(built, file).split(/[\\/]/)[0]))
  .filter(
    (file) => filters.length === 0 || filters.some((word) => relative(built, file).includes(word)),
  )
  .sort()
if (files.length === 0) {
  process.stderr.write(`no test file matches ${filters.join(' ') || 'anything'}; was it built?\n`)
  process.exit(1)
}
const child = spawn(
  process.execPath,
  ['--test', '--test-reporter=spec', '--test-concurrency=2', '--test-timeout=300000', ...files],
  { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_ENV: 'test' } },
)
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
